"""How many readings a micro-batch takes, so that none waits for longer than it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

LEAST = 50
"""Readings that a micro-batch may always have: less costs more than it saves."""

_FIRST = 500
_GROWTH = 2.0

# A limit is shared out among partitions, and rounded: a micro-batch is full a little before it.
_FULL = 0.9


@dataclass(eq=False)
class Pace:
    """The limit of the next micro-batch, by how long the last ones took.

    A reading waits for the micro-batch that runs when it comes, and for its own: each may take half
    of `latency_s`. `most` is the highest limit.
    """

    most: int
    latency_s: float
    limit: int = 0

    def __post_init__(self) -> None:
        self.limit = min(self.most, _FIRST)

    def after(self, rows: int, seconds: float) -> int:
        """The limit, now that a micro-batch of so many rows took so many seconds."""
        share = self.latency_s / 2 / max(seconds, 1e-3)
        if rows and share < 1:
            self.limit = max(LEAST, min(self.limit, round(rows * share)))
        elif rows >= _FULL * self.limit:
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
