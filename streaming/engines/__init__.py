"""The programs that run a bundle's model, each with the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyspark.sql import DataFrame

from streaming.frame import Step
from streaming.score import Scorer
from streaming.tally import Tally


class Engine(Protocol):
    """A program with a bundle's model loaded."""

    def scorer(self, readings: DataFrame, checks: Mapping[str, Step], figures: Tally) -> Scorer:
        """What scores the frames of this micro-batch, whose readings the checks find good.

        What it does at once, before any frame, it adds to `figures`; raises ModelFailed.
        """

    def close(self) -> None:
        """Let go of what the model holds on the executors."""
