"""Silences loggers of Spark, Kafka and Delta whose messages are reported otherwise."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

_QUIET = (
    # They log what is in an exception, which is reported once, at the end.
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
    # `digitstream status` shows how far a query is behind.
    "org.apache.spark.sql.execution.streaming.ProcessingTimeExecutor",
    # It warns that adaptive planning is off, which is intended.
    "org.apache.spark.sql.execution.streaming.ResolveWriteToStream",
    # It warns in every task that another thread reads, the one that feeds a Python worker.
    "org.apache.spark.sql.kafka010.consumer.KafkaDataConsumer",
    # They call the settings of the secrets' file provider unknown.
    "org.apache.kafka.clients.admin.AdminClientConfig",
    "org.apache.kafka.clients.consumer.ConsumerConfig",
    "org.apache.kafka.clients.producer.ProducerConfig",
    # `topic_watch` reports that Kafka does not answer.
    "org.apache.kafka.clients.NetworkClient",
    "org.apache.spark.sql.kafka010.KafkaOffsetReaderAdmin",
    "org.apache.spark.sql.kafka010.KafkaOffsetReaderConsumer",
)


def quieten(spark: SparkSession) -> None:
    """Turn these loggers off in the session's JVM; all others keep their level."""
    log4j: Any = spark._jvm.org.apache.logging.log4j  # type: ignore[union-attr]
    for name in _QUIET:
        log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)
