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
        return added(value1, value2)


def tally(context: SparkContext) -> Tally:
    """A tally of nothing yet."""
    return context.accumulator({}, _Sums())


def added(figures: Figures, others: Figures) -> Figures:
    """The first figures, to which the others were added, in place."""
    for name, figure in others.items():
        known = figures.get(name, 0)
        figures[name] = max(known, figure) if name.startswith(UNTIL) else known + figure
    return figures


def until(topic: str, partition: object) -> str:
    """The figure that is the time of a partition's last reading that was answered."""
    return f"{UNTIL}{topic}/{partition}"


@contextmanager
def taken_back(figures: Tally, *, always: bool = False) -> Iterator[None]:
    """Take back what the body adds if it raises, or in any case; in a worker, where no figure may
    be read.
    """
    before = dict(figures._value)
    try:
        yield
    except Exception:
        figures._value = before
        raise
    if always:
        figures._value = before


@contextmanager
def timed(figures: Tally, step: str) -> Iterator[None]:
    """Add the seconds that the body takes to a step."""
    begin = perf_counter()
    yield
    figures.add({step: perf_counter() - begin})
