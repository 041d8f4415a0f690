"""The readings of some topics as they arrive."""

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

# Records arrive decompressed, some of them at a time in each task: a few bytes may have become
# CUT_BYTES. All tasks together hold no more than this of them.
_POLLED_BYTES, _MOST_POLLED = 1 << 30, 50

_ROWS, _BATCH_BYTES = 256, 1 << 29

# Bytes of the headers, of everything around the value, of all.
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
    """Every record of the topics from their beginnings, or from those that Kafka stored `since`, as
    Kafka has it: key, value, topic, partition, offset, timestamp (when Kafka stored it), headers.
    `starting` is where a query begins that has no checkpoint.

    Records that retention removed before they were read stop the query.
    """
    if since is None:
        begin = {"startingOffsets": starting}
    else:
        begin = {
            "startingTimestamp": str(milliseconds(since)),
            "startingOffsetsByTimestampStrategy": "latest",  # where nothing is as late
        }
    source_options = {
        **_options(spark, kafka),
        "subscribe": ",".join(topics),
        **begin,
        "maxOffsetsPerTrigger": str(max_offsets_per_trigger),
    }
    return spark.readStream.format("kafka").options(**source_options).load()


def stored(spark: SparkSession, kafka: Kafka, spans: Spans) -> DataFrame:
    """The records that Kafka has in these spans; an error if it has forgotten some."""
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
    """What Spark is told of every topic that it reads."""
    cores = spark.sparkContext.defaultParallelism
    polled = max(1, min(_MOST_POLLED, _POLLED_BYTES // (CUT_BYTES * cores)))
    return {
        **options(spark, kafka),
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        **COMMITTED,
        "kafka.max.poll.records": str(polled),
        # One core should not wait for another that has the longer partition.
        "minPartitions": str(cores),
    }


def bounded(readings: DataFrame, shape: Shape, topics: Topics) -> DataFrame:
    """The readings with a `size`: null, or the bytes of one that is too large to be carried along;
    and with `many_headers`, which is true for one that has too many.

    What came uncompressed, and what may be an image of this shape, is never too large. Of anything
    else Python sees the size alone, so that no client can fill its memory: `value` is null, `key`
    and `headers` too if these by themselves are too large. `headers` are null if there are too
    many; those of a replay do not count that we have put before its device's.
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
    """Let this session hand readings of the shape to Python in Arrow batches of so many: enough to
    make columns worth while, few enough that the largest ones have room in memory, and in Arrow's
    2 GiB.
    """
    rows = max(1, min(_ROWS, _BATCH_BYTES // _most_bytes(shape)))
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(rows))


def within_bounds(records: DataFrame) -> DataFrame:
    """The records, null where a reader of ours has cut them: key, value or headers."""
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
    """What a reading that may be an image of this shape has at most."""
    return min(LARGEST, max(2 * READING_BYTES, largest(shape)))
