"""Metrics of a micro-batch's steps: counts and durations, summed over all workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple, TypeVar

from pyspark import Accumulator, AccumulatorParam, SparkContext

K = TypeVar("K")
V = TypeVar("V")

Partition = tuple[str, int]
"""A topic and a partition number."""


class Agreement(NamedTuple):
    """How many readings two models scored, and to how many both gave the same class."""

    readings: int = 0
    same: int = 0


@dataclass(frozen=True)
class BatchMetrics:
    """Metrics of a micro-batch, or of a part of it; adding two gives those of both parts."""

    scored: int = 0
    """Readings that got a score."""
    dead_letters: int = 0
    """Readings that got a dead letter."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Step -> how long it took, summed over the workers."""
    latest: Mapping[Partition, float] = field(default_factory=dict)
    """Partition -> when Kafka stored the last of its readings, in seconds since the epoch."""
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    """Step of a second model -> its agreement with the first model."""

    @property
    def answered(self) -> int:
        """Readings that got an answer."""
        return self.scored + self.dead_letters

    def __add__(self, other: BatchMetrics) -> BatchMetrics:
        """Add counts and seconds; keep the latest times."""
        return BatchMetrics(
            self.scored + other.scored,
            self.dead_letters + other.dead_letters,
            _joined(self.seconds, other.seconds, lambda ours, theirs: ours + theirs),
            _joined(self.latest, other.latest, max),
            _joined(self.agreements, other.agreements, _both),
        )


Metrics = Accumulator[BatchMetrics]
"""Metrics that workers add to and the driver reads (a Spark accumulator)."""


class MetricsParam(AccumulatorParam[BatchMetrics]):
    """Lets Spark add up the metrics of its tasks."""

    def zero(self, value: BatchMetrics) -> BatchMetrics:
        """Empty metrics."""
        return BatchMetrics()

    def addInPlace(self, value1: BatchMetrics, value2: BatchMetrics) -> BatchMetrics:
        """The sum of both."""
        return value1 + value2


def accumulator(context: SparkContext) -> Metrics:
    """An accumulator with empty metrics."""
    return context.accumulator(BatchMetrics(), MetricsParam())


@contextmanager
def rolled_back(metrics: Metrics, *, always: bool = False) -> Iterator[None]:
    """Undo what the body adds to the metrics if it raises, or `always`. Works in a worker, where an
    accumulator's public value may not be read.
    """
    before = metrics._value
    try:
        yield
    except Exception:
        metrics._value = before
        raise
    if always:
        metrics._value = before


@contextmanager
def timed(metrics: Metrics, step: str) -> Iterator[None]:
    """Add the seconds that the body takes to the metrics of a step."""
    begin = perf_counter()
    yield
    metrics.add(BatchMetrics(seconds={step: perf_counter() - begin}))


def _both(ours: Agreement, theirs: Agreement) -> Agreement:
    return Agreement(ours.readings + theirs.readings, ours.same + theirs.same)


def _joined(ours: Mapping[K, V], theirs: Mapping[K, V], add: Callable[[V, V], V]) -> dict[K, V]:
    """The values of both, added where both have one."""
    shared = {key: add(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}
    return {**ours, **theirs, **shared}
