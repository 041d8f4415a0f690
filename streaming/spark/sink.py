"""Writes answers to Kafka."""

from __future__ import annotations

from pyspark.sql import DataFrame

from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES
from streaming.spark.kafka import options

LARGEST = ANSWER_BYTES - (1 << 16)
"""Maximum bytes of an answer: compression makes some a little larger."""

_OPTIONS = {
    "kafka.acks": "all",
    "kafka.enable.idempotence": "true",
    # The only compression that every client can decompress without another library.
    "kafka.compression.type": "gzip",
    "kafka.max.request.size": str(ANSWER_BYTES),
    "kafka.buffer.memory": str(8 * ANSWER_BYTES),
    "kafka.batch.size": str(1 << 18),
    "kafka.linger.ms": "5",
}


def publish(answers: DataFrame, kafka: Kafka) -> None:
    """Write each answer to the topic that it names; returns when Kafka has all of them.

    At least once: a micro-batch that is repeated writes its answers again, with the same ids.
    """
    sink_options = {**options(answers.sparkSession, kafka), **_OPTIONS}
    answers.write.format("kafka").options(**sink_options).save()
