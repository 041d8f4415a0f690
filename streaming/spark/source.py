"""Reads the records of topics, with limits on their size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from contract.kafka.connection import Kafka
from contract.wire.bounds import CUT_BYTES, CUT_HEADERS, MOST_HEADERS
from contract.wire.images import Shape, largest
from contract.wire.replays import OURS
from contract.wire.topics import READING_BYTES, Topics
from contract.wire.values.times import milliseconds
from streaming.spark.kafka import COMMITTED, options
from streaming.spark.sink import LARGEST

Spans = Mapping[str, Mapping[int, tuple[int, int]]]
"""Topic -> partition -> the first offset, and the one after the last."""

# Each task polls several records at a time, and a few compressed bytes may become CUT_BYTES each.
# All tasks together hold at most this many bytes.
_POLLED_BYTES, _MOST_POLLED = 1 << 30, 50

_ROWS, _BATCH_BYTES = 256, 1 << 29

# Bytes of the headers; of key and headers; of the whole record.
_HEADERS = """aggregate(
    coalesce(headers, array()),
    0L,
    (sum, header) -> sum + octet_length(header.key) + coalesce(length(header.value), 0)
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
    """All records of the topics, from the beginning or from those that Kafka stored `since`: key,
    value, topic, partition, offset, timestamp (when Kafka stored it), headers. `starting` is where
    a query without a checkpoint begins.

    Records that retention removed before they were read stop the query.
    """
    if since is None:
        begin = {"startingOffsets": starting}
    else:
        begin = {
            "startingTimestamp": str(milliseconds(since)),
            "startingOffsetsByTimestampStrategy": "latest",  # if there is no later record
        }
    source_options = {
        **_options(spark, kafka),
        "subscribe": ",".join(topics),
        **begin,
        "maxOffsetsPerTrigger": str(max_offsets_per_trigger),
    }
    return spark.readStream.format("kafka").options(**source_options).load()


def stored(spark: SparkSession, kafka: Kafka, spans: Spans) -> DataFrame:
    """The records of these spans; their query fails if Kafka no longer has some of them."""
    first, last = (
        {topic: {part: span[at] for part, span in parts.items()} for topic, parts in spans.items()}
        for at in (0, 1)
    )
    source_options = {
        **_options(spark, kafka),
        "assign": json.dumps({topic: list(parts) for topic, parts in spans.items()}),
        "startingOffsets": json.dumps(first),
        "endingOffsets": json.dumps(last),
    }
    return spark.read.format("kafka").options(**source_options).load()


def _options(spark: SparkSession, kafka: Kafka) -> dict[str, str]:
    """Options for all sources."""
    cores = spark.sparkContext.defaultParallelism
    polled = max(1, min(_MOST_POLLED, _POLLED_BYTES // (CUT_BYTES * cores)))
    return {
        **options(spark, kafka),
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        **COMMITTED,
        "kafka.max.poll.records": str(polled),
        # Long partitions are split, so that no core waits for another.
        "minPartitions": str(cores),
    }


def bounded(readings: DataFrame, shape: Shape, topics: Topics) -> DataFrame:
    """The readings with two more columns: `size` is the number of bytes of a reading that is too
    large, else null; `many_headers` is true for one with too many headers.

    Uncompressed readings, and those that may be an image of this shape, are never too large. Of a
    reading that is too large Python only sees the size, so that no client can fill its memory:
    `value` is null, and so are `key` and `headers` if they are too large by themselves. `headers`
    is null if there are too many; the headers that we add to a replay do not count.
    """
    most = _most_bytes(shape)
    many = f"size(headers) > if(topic = '{topics.replays}', {len(OURS)}, 0) + {MOST_HEADERS}"
    return readings.selectExpr(
        f"if({_AROUND} > {most}, null, key) as key",
        f"if({_BYTES} > {most}, null, value) as value",
        f"if({_BYTES} > {most}, {_BYTES}, null) as size",
        "topic",
        "partition",
        "offset",
        "timestamp",
        f"if({many} OR {_AROUND} > {most}, null, headers) as headers",
        f"if({many}, true, null) as many_headers",
    )


def size_batches(spark: SparkSession, shape: Shape) -> None:
    """Set the session's number of readings per Arrow batch for this shape: enough for columns to
    pay off, few enough that the largest readings fit into memory and into Arrow's 2 GiB.
    """
    rows = max(1, min(_ROWS, _BATCH_BYTES // _most_bytes(shape)))
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows))


def within_bounds(records: DataFrame) -> DataFrame:
    """The records, with null for keys, values and headers that exceed our readers' limits."""
    around = f"{_AROUND} > {CUT_BYTES} OR size(headers) > {CUT_HEADERS}"
    return records.selectExpr(
        f"if({_AROUND} > {CUT_BYTES}, null, key) as key",
        f"if(length(value) > {CUT_BYTES}, null, value) as value",
        "topic",
        "partition",
        "offset",
        "timestamp",
        f"if({around}, null, headers) as headers",
    )


def _most_bytes(shape: Shape) -> int:
    """Maximum bytes of a reading that may be an image of this shape."""
    return min(LARGEST, max(2 * READING_BYTES, largest(shape)))
