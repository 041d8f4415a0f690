"""Loggers of Spark, Kafka and Delta that write nothing, since what they tell is told otherwise."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

_QUIET = (
    # What they log on the way to an exception is in the exception, which is told once, at the end.
    "org.apache.spark.TaskContextImpl",
    "org.apache.spark.api.python.PythonRunner",
    "org.apache.spark.executor.Executor",
    "org.apache.spark.scheduler.TaskSetManager",
    "org.apache.spark.sql.delta.commands.VacuumCommand",
    "org.apache.spark.sql.delta.files.DelayedCommitProtocol",
    "org.apache.spark.sql.delta.files.DeltaFileFormatWriter",
    "org.apache.spark.sql.execution.datasources.FileFormatWriter",
    "org.apache.spark.sql.execution.datasources.v2.WriteToDataSourceV2Exec",
    "org.apache.spark.sql.execution.python.ArrowPythonRunner",
    "org.apache.spark.sql.execution.streaming.MicroBatchExecution",
    "org.apache.spark.sql.kafka010.consumer.FetchedDataPool",
    "org.apache.spark.util.Utils",
    # `status` tells how far a query is behind.
    "org.apache.spark.sql.execution.streaming.ProcessingTimeExecutor",
    # No micro-batch is planned anew while it runs.
    "org.apache.spark.sql.execution.streaming.ResolveWriteToStream",
    # It is read by the thread that feeds a Python worker, and says so for every task.
    "org.apache.spark.sql.kafka010.consumer.KafkaDataConsumer",
    # They do not know that what finds secrets is used, too.
    "org.apache.kafka.clients.admin.AdminClientConfig",
    "org.apache.kafka.clients.consumer.ConsumerConfig",
    "org.apache.kafka.clients.producer.ProducerConfig",
    # That Kafka is away is told in a sentence.
    "org.apache.kafka.clients.NetworkClient",
    "org.apache.spark.sql.kafka010.KafkaOffsetReaderAdmin",
    "org.apache.spark.sql.kafka010.KafkaOffsetReaderConsumer",
)


def quieten(spark: SparkSession) -> None:
    """Let the JVM of this session write none of it; its log level says what else it writes."""
    log4j: Any = spark._jvm.org.apache.logging.log4j  # type: ignore[union-attr]
    for name in _QUIET:
        log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)
