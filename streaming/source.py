"""The readings of a topic as they arrive."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from streaming.sink import LARGEST

# What no dead letter could carry goes no further than the JVM: only its size does.
_COLUMNS = (
    f"if(length(key) <= {LARGEST}, key, null) as key",
    f"if(bytes <= {LARGEST}, value, null) as value",
    f"if(bytes > {LARGEST}, bytes, null) as size",
    "topic",
    "partition",
    "offset",
    "timestamp",
    "headers",
)
_BYTES = "coalesce(length(key), 0L) + coalesce(length(value), 0L) as bytes"


def readings(
    spark: SparkSession, bootstrap_servers: str, topic: str, max_offsets_per_trigger: int
) -> DataFrame:
    """Every record of the topic from its beginning: key, value, size, topic, partition, offset,
    timestamp (when Kafka stored it), headers.

    `size` is null, or the bytes of a key and value that are too many for any answer; then `value`
    is null. Records that retention removed before they were read stop the query.
    """
    options = {
        "kafka.bootstrap.servers": bootstrap_servers,
        "subscribe": topic,
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        "maxOffsetsPerTrigger": str(max_offsets_per_trigger),
        # One core should not wait for another that has the longer partition.
        "minPartitions": str(spark.sparkContext.defaultParallelism),
    }
    records = spark.readStream.format("kafka").options(**options).load()
    return records.selectExpr("*", _BYTES).selectExpr(*_COLUMNS)
