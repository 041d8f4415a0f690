"""What the steps of a micro-batch did and how long they took, summed over all workers."""

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
"""A topic, and the number of a partition of it."""


class Agreement(NamedTuple):
    """To how many readings two models gave one class, and of how many."""

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
    """Partition -> when Kafka stored the last of its readings, in seconds since 1970."""
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    """Step of a second model -> how often it agreed with the first."""

    @property
    def answered(self) -> int:
        """Readings that got an answer."""
        return self.scored + self.dead_letters

    def __add__(self, other: BatchMetrics) -> BatchMetrics:
        """Counts and seconds add up; of times the latest counts."""
        return BatchMetrics(
            self.scored + other.scored,
            self.dead_letters + other.dead_letters,
            _joined(self.seconds, other.seconds, lambda ours, theirs: ours + theirs),
            _joined(self.latest, other.latest, max),
            _joined(self.agreements, other.agreements, _both),
        )


Metrics = Accumulator[BatchMetrics]
"""Metrics that workers add to and the driver reads."""


class MetricsParam(AccumulatorParam[BatchMetrics]):
    """How Spark adds the metrics of its tasks."""

    def zero(self, value: BatchMetrics) -> BatchMetrics:
        """Nothing yet."""
        return BatchMetrics()

    def addInPlace(self, value1: BatchMetrics, value2: BatchMetrics) -> BatchMetrics:
        """The metrics of both."""
        return value1 + value2


def accumulator(context: SparkContext) -> Metrics:
    """Metrics of nothing yet."""
    return context.accumulator(BatchMetrics(), MetricsParam())


@contextmanager
def rolled_back(metrics: Metrics, *, always: bool = False) -> Iterator[None]:
    """Undo what the body adds if it raises, or in any case; in a worker, where no accumulator may
    be read.
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
    """Add the seconds that the body takes to a step."""
    begin = perf_counter()
    yield
    metrics.add(BatchMetrics(seconds={step: perf_counter() - begin}))


def _both(ours: Agreement, theirs: Agreement) -> Agreement:
    return Agreement(ours.readings + theirs.readings, ours.same + theirs.same)


def _joined(ours: Mapping[K, V], theirs: Mapping[K, V], add: Callable[[V, V], V]) -> dict[K, V]:
    """The values of both, added where both have one."""
    shared = {key: add(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}
    return {**ours, **theirs, **shared}
