"""The size of micro-batches that keeps latency within its limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, cast

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

LEAST = 50
"""Smallest limit of a micro-batch, in readings: a smaller one costs more than it saves."""

_FIRST = 500
_GROWTH = 2.0

# The limit is divided among partitions and rounded, so a full micro-batch may be a little smaller.
_FULL = 0.9

# Readings may take this many times the fixed cost of a micro-batch: then a quarter of its time is
# overhead. A smaller limit would lose more, until the machine scores less than what arrives.
_WORTH = 3.0

# Weight of a micro-batch relative to the next; how much sizes must differ to estimate the cost of a
# reading (standard deviation over mean); growth of `even` per micro-batch without such a spread.
_MEMORY, _SPREAD, _STALE = 0.93, 0.15, 1.02


@dataclass(eq=False)
class Costs:
    """The cost of micro-batches: a fixed part, and a part for each reading.

    `even` is the number of readings that together cost as much as the fixed part; it is infinite
    while the cost of a reading is unknown.
    """

    even: float = inf
    _sums: tuple[float, ...] = (0.0,) * 5

    def add(self, rows: int, seconds: float) -> None:
        """Add a micro-batch, and fit the line of seconds over rows again."""
        terms = (1.0, rows, seconds, rows * rows, rows * seconds)
        self._sums = tuple(
            _MEMORY * total + term for total, term in zip(self._sums, terms, strict=True)
        )
        count, x, y, xx, xy = self._sums
        spread = count * xx - x * x
        if spread < (_SPREAD * x) ** 2:
            self.even *= _STALE
            return
        slope = (count * xy - x * y) / spread
        self.even = max(0.0, (y / slope - x) / count) if slope > 0 else inf


@dataclass(eq=False)
class Pace:
    """The limit of the next micro-batch, from the durations of the last ones.

    A reading waits for the micro-batch that runs when it arrives, and for its own: each may take
    half of `latency_s`, or longer where the fixed cost of a micro-batch needs more. `most` is the
    highest limit.
    """

    most: int
    latency_s: float
    limit: int = 0
    _costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        self.limit = min(self.most, _FIRST)

    def after(self, rows: int, seconds: float) -> int:
        """The limit after a micro-batch of so many rows that took so many seconds."""
        if rows:
            self._costs.add(rows, seconds)
        share = self.latency_s / 2 / max(seconds, 1e-3)
        is_full = rows >= _FULL * self.limit
        if rows and share < 1:
            rows_then = max(rows * share, _WORTH * self._costs.even)
            highest = self.limit * (_GROWTH if is_full else 1.0)
            self.limit = max(LEAST, round(min(rows_then, highest)))
        elif is_full:
            self.limit = round(self.limit * min(_GROWTH, share))
        self.limit = min(self.most, self.limit)
        return self.limit


def set_limit(spark: SparkSession, query: StreamingQuery, rows: int) -> None:
    """Limit the next micro-batches of a running query to this many rows from each source.

    Spark asks a source for its limit once, when the query starts, and looks it up in a table for
    each micro-batch; this replaces the table.
    """
    jvm: Any = spark._jvm
    rule = jvm.org.apache.spark.sql.connector.read.streaming.ReadLimit.maxRows(rows)
    execution = cast(Any, query)._jsq.streamingQuery()
    table = execution.uniqueSources()
    sources = table.keysIterator()
    while sources.hasNext():
        table = table.updated(sources.next(), rule)
    getattr(execution, "uniqueSources_$eq")(table)
