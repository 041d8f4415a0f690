"""How many readings a micro-batch takes, so that none waits for longer than it may."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, cast

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

LEAST = 50
"""Readings that a micro-batch may always have: less costs more than it saves."""

_FIRST = 500
_GROWTH = 2.0

# A limit is shared out among partitions, and rounded: a micro-batch is full a little before it.
_FULL = 0.9

# A micro-batch may take this many times what it costs without readings: a quarter of its time is
# lost then. A smaller one would lose more, until the machine scores less than what comes.
_WORTH = 3.0

# How much each micro-batch counts beside the next; how much sizes must differ to tell what a
# reading costs (standard deviation over mean); and how what was told so goes stale without that.
_MEMORY, _SPREAD, _STALE = 0.93, 0.15, 1.02


@dataclass(eq=False)
class Costs:
    """What micro-batches cost: a part that each has, and one for each reading in it.

    `even` is the number of readings whose parts are as large as that of their micro-batch; it is
    infinite while readings are not known to cost anything.
    """

    even: float = inf
    _sums: tuple[float, ...] = (0.0,) * 5

    def saw(self, rows: int, seconds: float) -> None:
        """Draw the line through the last micro-batches, of which one took so long, again."""
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
    """The limit of the next micro-batch, by how long the last ones took.

    A reading waits for the micro-batch that runs when it comes, and for its own: each may take half
    of `latency_s`, or longer where that would be too little for what a micro-batch costs by itself.
    `most` is the highest limit.
    """

    most: int
    latency_s: float
    limit: int = 0
    _costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        self.limit = min(self.most, _FIRST)

    def after(self, rows: int, seconds: float) -> int:
        """The limit, now that a micro-batch of so many rows took so many seconds."""
        if rows:
            self._costs.saw(rows, seconds)
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


def limited(spark: SparkSession, query: StreamingQuery, rows: int) -> None:
    """Let the next micro-batches of a running query have that many rows at most, of each source.

    Spark asks a source for its limit once, when the query starts, and looks that up for each
    micro-batch; so the table where it looks is replaced.
    """
    jvm: Any = spark._jvm
    rule = jvm.org.apache.spark.sql.connector.read.streaming.ReadLimit.maxRows(rows)
    execution = cast(Any, query)._jsq.streamingQuery()
    table = execution.uniqueSources()
    sources = table.keysIterator()
    while sources.hasNext():
        table = table.updated(sources.next(), rule)
    getattr(execution, "uniqueSources_$eq")(table)
