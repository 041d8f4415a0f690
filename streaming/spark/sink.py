"""Writes answers to Kafka."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame

from contract.choices import Compression
from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES
from streaming.spark.kafka import options

LARGEST = ANSWER_BYTES - (1 << 16)
"""Maximum bytes of an answer: compression makes some a little larger."""

_OPTIONS = {
    "kafka.acks": "all",
    "kafka.enable.idempotence": "true",
    "kafka.max.request.size": str(ANSWER_BYTES),
    "kafka.buffer.memory": str(8 * ANSWER_BYTES),
    "kafka.batch.size": str(1 << 18),
    "kafka.linger.ms": "5",
}


@dataclass(frozen=True)
class Sink:
    """Where answers are written, and how they are compressed."""

    kafka: Kafka
    compression: Compression

    def publish(self, answers: DataFrame) -> None:
        """Write each answer to the topic that it names; returns when Kafka has all of them.

        At least once: a micro-batch that is repeated writes its answers again, with the same ids.
        """
        sink_options = {
            **options(answers.sparkSession, self.kafka),
            **_OPTIONS,
            "kafka.compression.type": self.compression,
        }
        answers.write.format("kafka").options(**sink_options).save()
