"""The fourth step: scores the good readings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from contract.quantities import quantity
from contract.wire import reasons
from contract.wire.reasons import BadReading
from streaming.errors import ModelFailed
from streaming.steps.bisection import Span, bisected
from streaming.steps.frame import Features, Frame, Probabilities

# How far rounding in an engine may take a probability out of the range from 0 to 1.
_ROUNDING = 1e-3


class Scorer(Protocol):
    """A model in a worker."""

    def ready(self) -> None:
        """Load the model, so that the first frame is as fast as any other."""

    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of the frame's good readings (M)."""

    def sample(self, features: Features) -> Probabilities:
        """Probabilities (1, K) of a golden image (1, H, W, C) that is scored alone."""


def load(model: str, scorer: Scorer) -> None:
    """Load a model; raises ModelFailed, which names the `model`, if that fails."""
    try:
        scorer.ready()
    except Exception as exc:
        raise ModelFailed(model, f"raised {type(exc).__name__}: {exc}") from exc


def scored(
    frame: Frame, model: str, scorer: Callable[[Frame], Probabilities], classes: int
) -> Frame:
    """Score the good readings; raises ModelFailed, which names the `model`, unless each gets a
    probability for each class, from 0 to 1 up to rounding.
    """
    rows = frame.good.true_count
    if rows == 0:
        return replace(frame, probabilities=np.empty((0, classes), np.float32))
    return replace(frame, probabilities=checked(lambda: scorer(frame), model, (rows, classes)))


def sifted(
    frame: Frame,
    model: str,
    scorer: Scorer,
    golden: Features,
    classes: int,
    others: Sequence[Callable[[Frame], object]] = (),
) -> Frame:
    """Score the good readings that the model can score, and fail the others; for a frame that it
    did not score as a whole.

    A reading is to blame if the model raises or returns no finite numbers for it alone, but scores
    a golden image (1, H, W, C) alone. The model is to blame, and ModelFailed is raised, if it does
    not score the golden image, or if one of the `others`, which score a frame or raise, scores such
    a reading.
    """
    checked(lambda: scorer.sample(golden), model, (1, classes))
    rows = np.flatnonzero(np.asarray(frame.good))

    def part(span: Span) -> Frame:
        mask = np.zeros(len(frame.records), bool)
        mask[rows[span.begin : span.end]] = True
        return frame.where(mask)

    batches, faults = bisected(
        len(rows), lambda span: scored(part(span), model, scorer, classes).probabilities
    )
    for number, fault in faults.items():
        if any(_scores(other, part(Span(number, number + 1))) for other in others):
            raise fault
    able = np.ones(len(rows), bool)
    able[list(faults)] = False
    failed = frame.failed(
        {
            int(rows[number]): BadReading(reasons.MODEL_FAILED, fact_of(fault))
            for number, fault in faults.items()
        }
    )
    probabilities = np.concatenate([np.empty((0, classes), np.float32), *batches])
    return replace(failed, features=frame.features[able], probabilities=probabilities)


def checked(
    score: Callable[[], Probabilities], model: str, shape: tuple[int, int]
) -> Probabilities:
    """A model's probabilities for some images, clipped to 0 and 1; raises ModelFailed unless they
    have this shape (N, K) and are finite and from 0 to 1 up to rounding.
    """
    try:
        probabilities = np.asarray(score(), np.float32)
    except ModelFailed:
        raise
    except Exception as exc:
        raise ModelFailed(model, f"raised {type(exc).__name__}: {exc}") from exc
    rows, classes = shape
    if probabilities.shape != shape:
        fault = f"gave {probabilities.shape} for {quantity(rows, 'image')} of {classes} classes"
        raise ModelFailed(model, fault)
    if not np.isfinite(probabilities).all():
        wrong = int(np.count_nonzero(~np.isfinite(probabilities).all(axis=1)))
        fault = f"gave probabilities that are not finite for {wrong} of {quantity(rows, 'image')}"
        raise ModelFailed(model, fault)
    lowest, highest = (probabilities.min(), probabilities.max()) if rows else (0, 0)
    if lowest < -_ROUNDING or highest > 1 + _ROUNDING:
        raise ModelFailed(
            model, f"gave probabilities from {lowest:.4g} to {highest:.4g}, not 0 to 1"
        )
    return probabilities.clip(0, 1)


def _scores(other: Callable[[Frame], object], frame: Frame) -> bool:
    try:
        other(frame)
    except ModelFailed:
        return False
    return True


def fact_of(fault: Exception) -> str:
    """The fact of a ModelFailed, or the text of any other error."""
    return fault.fact if isinstance(fault, ModelFailed) else str(fault)
