"""Records that no client should send, and any may."""

from __future__ import annotations

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from contract.clients import arguments
from contract.connection import Kafka
from contract.events import Source
from contract.settings import Settings
from contract.times import moment
from digitstream.drills import raw_batches

LARGEST, SMALLEST = 2**63 - 1, -(2**63)
FIRST, LAST = moment("1970-01-01T00:00:00Z"), moment("9999-12-31T23:59:59.999Z")
STAMPS = {
    SMALLEST: FIRST,
    -62_135_596_800_001: FIRST,  # year 0
    -1: FIRST,
    0: FIRST,
    1_764_187_200_123: moment("2025-11-26T20:00:00.123Z"),
    253_402_300_800_000: LAST,  # year 10000
    1_764_187_200_123_456: LAST,  # microseconds
    1_764_187_200_123_456_789: LAST,  # nanoseconds, which overflow Spark's microseconds
    LARGEST: LAST,
}
"""Timestamps that a client may give a record, and what comes of them."""


def clients_set_times(kafka: Kafka, topic: str) -> None:
    """Let clients set the times of a topic's records, any."""
    configs = {
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(LARGEST),
    }
    admin = KafkaAdminClient(**arguments(kafka))
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    admin.close()


def put(settings: Settings, *records: bytes, stamp: int = 0) -> Source:
    """Send records in a batch of their own to the first partition; returns the first's place."""
    topic, data = settings.topics.readings, raw_batches.batch(records, stamp=stamp)
    return Source(topic, 0, raw_batches.send(settings.kafka.servers, topic, 0, data))
