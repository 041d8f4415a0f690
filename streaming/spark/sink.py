"""Answers to Kafka."""

from __future__ import annotations

from pyspark.sql import DataFrame

from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES
from streaming.spark.kafka import options

LARGEST = ANSWER_BYTES - (1 << 16)
"""Bytes that an answer may have: compression makes some a little larger than they were."""

_OPTIONS = {
    "kafka.acks": "all",
    "kafka.enable.idempotence": "true",
    # The one compression that every client can undo without another library.
    "kafka.compression.type": "gzip",
    "kafka.max.request.size": str(ANSWER_BYTES),
    "kafka.buffer.memory": str(8 * ANSWER_BYTES),
    "kafka.batch.size": str(1 << 18),
    "kafka.linger.ms": "5",
}


def publish(answers: DataFrame, kafka: Kafka) -> None:
    """Write the answers, each to the topic that it names, and return when Kafka has them all.

    At least once: a micro-batch that is run again writes its answers again, with the same ids.
    """
    sink_options = {**options(answers.sparkSession, kafka), **_OPTIONS}
    answers.write.format("kafka").options(**sink_options).save()
