"""The readings of some topics as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from contract.connection import Kafka
from contract.images import Shape, largest
from contract.topics import READING_BYTES
from streaming.connection import COMMITTED, options
from streaming.sink import LARGEST

# Bytes of the headers, of everything around the value, of all.
_HEADERS = """aggregate(
    coalesce(headers, array()),
    0L,
    (sum, header) -> sum + length(header.key) + coalesce(length(header.value), 0)
)"""
_AROUND = f"(coalesce(length(key), 0) + {_HEADERS})"
_BYTES = f"(coalesce(length(value), 0) + {_AROUND})"


def readings(
    spark: SparkSession,
    kafka: Kafka,
    topics: Sequence[str],
    max_offsets_per_trigger: int,
    since: datetime | None = None,
    starting: str = "earliest",
) -> DataFrame:
    """Every record of the topics from their beginnings, or from those that Kafka stored `since`, as
    Kafka has it: key, value, topic, partition, offset, timestamp (when Kafka stored it), headers.
    `starting` is where a query begins that has no checkpoint.

    Records that retention removed before they were read stop the query.
    """
    if since is None:
        begin = {"startingOffsets": starting}
    else:
        begin = {
            "startingTimestamp": str(round(since.timestamp() * 1000)),
            "startingOffsetsByTimestampStrategy": "latest",  # where nothing is as late
        }
    given = {
        **options(spark, kafka),
        "subscribe": ",".join(topics),
        **begin,
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        **COMMITTED,
        "maxOffsetsPerTrigger": str(max_offsets_per_trigger),
        # Records arrive decompressed, these many at a time: some of them are bombs.
        "kafka.max.poll.records": "50",
        # One core should not wait for another that has the longer partition.
        "minPartitions": str(spark.sparkContext.defaultParallelism),
    }
    return spark.readStream.format("kafka").options(**given).load()


def bounded(readings: DataFrame, shape: Shape) -> DataFrame:
    """The readings with a `size`: null, or the bytes of one that is too large to be carried along.

    What came uncompressed, and what may be an image of this shape, is never too large. Of anything
    else Python sees the size alone, so that no client can fill its memory: `value` is null, `key`
    and `headers` too if these by themselves are too large.
    """
    most = min(LARGEST, max(2 * READING_BYTES, largest(shape)))
    return readings.selectExpr(
        f"if({_AROUND} > {most}, null, key) as key",
        f"if({_BYTES} > {most}, null, value) as value",
        f"if({_BYTES} > {most}, {_BYTES}, null) as size",
        "topic",
        "partition",
        "offset",
        "timestamp",
        f"if({_AROUND} > {most}, null, headers) as headers",
    )
