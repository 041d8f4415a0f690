"""The fourth step: what the model makes of the good readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from contract.errors import DigitstreamError
from streaming.frame import Frame, Probabilities


class Scorer(Protocol):
    """A model in a worker."""

    def ready(self) -> None:
        """Load what it takes, so that the first frame takes as long as any other."""

    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of the frame's good readings (M)."""


"""An engine with a model loaded: features (M, H, W, C) of a frame to probabilities (M, K)."""


class ModelFailed(DigitstreamError):
    """A model that cannot score; no reading is to blame, so the stream stops."""


def load(model: str, scorer: Scorer) -> None:
    """Make a model ready; raises ModelFailed, which names the `model`, if it cannot be loaded."""
    try:
        scorer.ready()
    except Exception as exc:
        raise failure(model, f"raised {type(exc).__name__}: {exc}") from exc


def scored(
    frame: Frame, model: str, scorer: Callable[[Frame], Probabilities], classes: int
) -> Frame:
    """Score the good readings; raises ModelFailed, which names the `model`, unless each gets one
    finite probability a class.
    """
    rows = frame.good.true_count
    if rows == 0:
        return replace(frame, probabilities=np.empty((0, classes), np.float32))
    try:
        probabilities = np.asarray(scorer(frame), np.float32)
    except Exception as exc:
        raise failure(model, f"raised {type(exc).__name__}: {exc}") from exc
    if probabilities.shape != (rows, classes):
        raise failure(model, f"gave {probabilities.shape} for {rows} images of {classes} classes")
    if not np.isfinite(probabilities).all():
        wrong = int(np.count_nonzero(~np.isfinite(probabilities).all(axis=1)))
        raise failure(model, f"gave probabilities that are no numbers for {wrong} of {rows} images")
    return replace(frame, probabilities=probabilities)


def failure(model: str, fact: str) -> ModelFailed:
    """The error that says what a model did, that the stream stopped, and what brings it back."""
    first = " ".join(fact.split())[:300]
    message = (
        f"Model {model} {first}. A model must score every valid image, so scoring stopped and this "
        f"micro-batch stays open. Promote a version that works (`digitstream models promote`) and "
        f"start `digitstream score` again: it goes on where it stopped."
    )
    return ModelFailed(message)
