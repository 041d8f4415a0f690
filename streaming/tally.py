"""What the steps of a micro-batch did and how long they took, summed over all workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from pyspark import Accumulator, AccumulatorParam, SparkContext

SCORED, DEAD_LETTERS = "scored", "dead_letters"
UNTIL = "until "
"""Before the name of a figure that is a time, of which the latest counts."""

Figures = dict[str, float]
"""Seconds by step; SCORED and DEAD_LETTERS in rows; times since 1970 under UNTIL."""


Tally = Accumulator[Figures]
"""Figures that workers add to and the driver reads."""


class _Sums(AccumulatorParam[Figures]):
    """Adds figures by name; of times it keeps the latest."""

    def zero(self, value: Figures) -> Figures:
        """Nothing of anything."""
        return {}

    def addInPlace(self, value1: Figures, value2: Figures) -> Figures:
        """The first, with the second added."""
        for name, figure in value2.items():
            known = value1.get(name, 0)
            value1[name] = max(known, figure) if name.startswith(UNTIL) else known + figure
        return value1


def tally(context: SparkContext) -> Tally:
    """A tally of nothing yet."""
    return context.accumulator({}, _Sums())


def until(topic: str, partition: object) -> str:
    """The figure that is the time of a partition's last reading that was answered."""
    return f"{UNTIL}{topic}/{partition}"


@contextmanager
def timed(figures: Tally, step: str) -> Iterator[None]:
    """Add the seconds that the body takes to a step."""
    begin = perf_counter()
    yield
    figures.add({step: perf_counter() - begin})
