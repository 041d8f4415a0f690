"""The programs that run a bundle's model, each with the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pyspark.sql import DataFrame

from streaming.steps.frame import Features, Probabilities, Step
from streaming.steps.metrics import Tally
from streaming.steps.score import Scorer


class Tried(NamedTuple):
    """What an engine made of some images: probabilities (N, K), and its pace."""

    probabilities: Probabilities
    images_per_s: float
    """With all cores at work, once it is warm."""


class Engine(Protocol):
    """A program with a bundle's model loaded."""

    def scorer(self, readings: DataFrame, checks: Mapping[str, Step], figures: Tally) -> Scorer:
        """What scores the frames of this micro-batch, whose readings the checks find good.

        What it does at once, before any frame, it adds to `figures`; raises ModelFailed.
        """

    def tried(self, features: Features) -> Tried:
        """What it makes of these images (N, H, W, C), and how fast; raises what the model does."""

    def close(self) -> None:
        """Let go of what the model holds on the executors."""
