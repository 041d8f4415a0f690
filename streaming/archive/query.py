"""The query of one table: each micro-batch of its topic's records is one commit to the table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql.functions import col, count, count_distinct, lit, struct, when
from pyspark.sql.functions import max as highest
from pyspark.sql.functions import min as lowest
from pyspark.sql.streaming.query import StreamingQuery

from streaming.archive.place import Place
from streaming.archive.tables import Table
from streaming.spark.locks import check_regular
from streaming.spark.stopping import Batches

_QUERY_ID = "sql.streaming.queryId"

# Clients choose the names of topics; an expression with too many of them would not be faster.
_MOST_RANGES = 500


@dataclass(eq=False)
class Archive:
    """Commits each micro-batch of a topic to its table as a whole.

    Exactly once: the commit has the query's id and the batch's number, and Delta ignores a second
    commit with the same two. An event that arrives twice, as answers do after a crash of the
    scorer, is stored once. `readings` and `readings_id` are the topic of the readings and its id;
    `rows` is the number of rows added so far.
    """

    table: Table
    place: Place
    batches: Batches
    readings: str
    readings_id: str | None
    rows: int = 0

    def start(self, records: DataFrame, *, every: float, available_now: bool) -> StreamingQuery:
        """Start the query on these records, with a micro-batch `every` so many seconds;
        `available_now` ends it after the records that exist now.

        Raises CheckpointUnusable.
        """
        trigger = (
            {"availableNow": True} if available_now else {"processingTime": f"{every} seconds"}
        )
        writer = records.writeStream.queryName(self.table.name).trigger(**trigger)
        place = self.place.checkpoint(self.table)
        local = Path(place.removeprefix("file:"))
        if place.startswith("file:") and local.exists():
            check_regular(local)
        return writer.option("checkpointLocation", place).foreachBatch(self._batch).start()

    def _batch(self, records: DataFrame, batch: int) -> None:
        with self.batches.running(batch), self.place.writing(self.table):
            spark = records.sparkSession
            rows = self.table.rows(records, self.readings, self.readings_id)
            if self.table.key:
                is_empty = self.place.is_empty(self.table)
                rows = novel(rows, None if is_empty else self.place.read(self.table), self.table)
            # As many files as cores, whatever the topic's number of partitions.
            writer = rows.coalesce(spark.sparkContext.defaultParallelism).write.format("delta")
            writer = writer.option("txnAppId", spark.sparkContext.getLocalProperty(_QUERY_ID))
            before = self.place.version(self.table)
            writer.option("txnVersion", batch).mode("append").save(self.place.of(self.table))
            self.rows += self.place.added(self.table, before)


def novel(rows: DataFrame, existing: DataFrame | None, table: Table) -> DataFrame:
    """The rows whose key is not in the table, each key once; `existing` is None for a table without
    rows. Rows that could not be read have no key and are always new.

    Reads only those files of the table that may hold these partitions and offsets.
    """
    where, offset, key = [col("topic"), col("partition")], col("offset"), list(table.key)
    event = struct(*(col(name) for name in key))
    readable = rows.where(col("topic").isNotNull())
    counted = readable.groupBy(*where).agg(
        lowest(offset), highest(offset), count(offset), count_distinct(event)
    )
    ranges = counted.collect()
    if any(rows_ > events for *_, rows_, events in ranges):
        lone = when(col("topic").isNull(), struct(*(col(name) for name in table.position)))
        rows = rows.withColumn("lone", lone).dropDuplicates([*key, "lone"]).drop("lone")
    if existing is None:
        return rows
    keys = existing.select(*key)
    if len(ranges) <= _MOST_RANGES:
        near = [
            (col("topic") == topic) & (col("partition") == partition) & offset.between(first, last)
            for topic, partition, first, last, *_ in ranges
        ]
        keys = keys.where(reduce(or_, near, lit(False)))
    # Computed now, so that the commit depends on no file that a compaction may replace meanwhile.
    keys = keys.localCheckpoint()
    return rows if keys.isEmpty() else rows.join(keys, key, "left_anti")
