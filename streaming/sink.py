"""Answers to Kafka."""

from __future__ import annotations

from pyspark.sql import DataFrame

from contract.topics import ANSWER_BYTES

_OPTIONS = {
    "kafka.acks": "all",
    "kafka.enable.idempotence": "true",
    "kafka.compression.type": "lz4",
    "kafka.max.request.size": str(ANSWER_BYTES),
    "kafka.buffer.memory": str(8 * ANSWER_BYTES),
    "kafka.batch.size": str(1 << 18),
    "kafka.linger.ms": "5",
}


def written(answers: DataFrame, bootstrap_servers: str) -> None:
    """Write the answers, each to the topic that it names, and return when Kafka has them all.

    At least once: a micro-batch that is run again writes its answers again, with the same ids.
    """
    options = {"kafka.bootstrap.servers": bootstrap_servers, **_OPTIONS}
    answers.write.format("kafka").options(**options).save()
