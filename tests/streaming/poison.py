"""Records that no client should send, and any may."""

from __future__ import annotations

from kafka import KafkaAdminClient

from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from contract.kafka.topics import ensure
from contract.settings.programs import Settings
from contract.wire.events import Source
from contract.wire.topics import Topics
from contract.wire.values.times import moment
from digitstream.drills.ground import raw_batches
from tests.streaming.wire import topic_id

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


def clients_set_times(kafka: Kafka, prefix: str) -> str:
    """Make topics whose times clients set, any; returns their prefix.

    They are made so: of a topic that is changed, nobody knows when a broker begins to obey.
    """
    named = Topics.named(f"{prefix}-create")
    own = {
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(LARGEST),
    }
    admin = KafkaAdminClient(**arguments(kafka))
    admin.create_topics(
        {
            topic: {"num_partitions": 2, "configs": {**configs, **own}}
            for topic, configs in named.configs.items()
        }
    )
    admin.close()
    ensure(kafka, named)
    return f"{prefix}-create"


def put(settings: Settings, *records: bytes, stamp: int = 0) -> Source:
    """Send records in a batch of their own to the first partition; returns the first's place."""
    topic, data = settings.topics.readings, raw_batches.batch(records, stamp=stamp)
    offset = raw_batches.send(settings.kafka.servers, topic, 0, data)
    return Source(topic, 0, offset, topic_id(settings, topic))
