"""Drills of what other people's clients and brokers do: transactions, compression."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.fetcher import ConsumerRecord

from contract import ScoreStream
from contract.kafka.clients import arguments
from contract.quantities import quantity
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground
from digitstream.drills.outcome import Broken
from digitstream.drills.readings import BAD

CODECS = (None, "gzip", "snappy", "lz4", "zstd")

_FEW = 30
_PATIENCE_SECONDS = 30.0
_OPEN_MS = 900_000


@drill(
    "aborted-transactions",
    "Readings come in transactions: committed ones are answered, aborted ones are not and are no "
    "gap, and a transaction that stays open is told, and answered once it is committed.",
)
def _aborted_transactions(ground: Ground) -> str:
    sent = ground.send(_FEW)
    records = _records(ground)
    with _transactional(ground) as producer:
        _begin(producer, records)
        producer.commit_transaction()
        _begin(producer, records)
        producer.abort_transaction()
        _begin(producer, records)
        ground.score("--available-now").result()
        seen = ground.all_answered(2 * sent)
        held = json.loads(ground.reconciled().result())["open_transactions"]
        if {each["topic"] for each in held} != {ground.settings.topics.readings}:
            message = f"an open transaction is not told: {held}"
            raise Broken(message)
        producer.commit_transaction()
    ground.score("--available-now").result()
    return f"with one open: {seen}; once it was committed: {ground.all_answered(3 * sent)}"


@drill(
    "compressed-topics",
    "Producers and topics compress, each in another way: every program reads all of it.",
)
def _compressed_topics(ground: Ground) -> str:
    topics = ground.settings.topics
    own = (topics.readings, topics.scores, topics.dead_letters, topics.replays, topics.progress)
    _compress(ground, dict(zip(own, ("zstd", "snappy", "lz4", "gzip", "zstd"), strict=True)))
    sent = ground.send(_FEW) + ground.send(_FEW, "--faults", BAD)
    records = _records(ground)
    for codec in CODECS:
        with KafkaProducer(**arguments(ground.settings.kafka), compression_type=codec) as producer:
            _send(producer, records)
    sent *= 1 + len(CODECS)
    ground.score("--available-now").result()
    seen, counts = ground.all_answered(sent), ground.accounts()
    scored, dead = counts.total("scored"), counts.total("dead_lettered")
    prefix = ["--prefix", ground.settings.prefix, "--json"]
    listed, replayed = (
        json.loads(ground.commands.start(["dead-letters", command, *prefix]).result())
        for command in ("list", "replay")
    )
    with ScoreStream(
        ground.settings.kafka, ground.settings.prefix, patience=_PATIENCE_SECONDS
    ) as scores:
        taken = sum(1 for _, score in zip(range(scored), scores, strict=False))
    ground.score("--available-now").result()
    again = json.loads(ground.reconciled().result())
    ground.archive("--available-now").result()
    archived = json.loads(ground.reconciled("--from", "tables").result())
    found = (listed["total"], replayed["sent"], taken, again["replayed"], archived["produced"])
    if found != (dead, dead, scored, dead, sent):
        message = f"{seen}; listed, replayed, streamed, answered again, archived: {found}"
        raise Broken(message)
    return f"{seen}; {quantity(dead, 'dead letter')} listed and replayed, {taken} scores streamed"


def _records(ground: Ground) -> list[ConsumerRecord]:
    """All readings that there are."""
    topic = ground.settings.topics.readings
    return [record for records in ground.reader.records(topic) for record in records]


@contextmanager
def _transactional(ground: Ground) -> Iterator[KafkaProducer]:
    """A producer that sends what is sent in transactions."""
    name = f"{ground.settings.prefix}-drill"
    options = {"transactional_id": name, "transaction_timeout_ms": _OPEN_MS, "acks": "all"}
    with KafkaProducer(**arguments(ground.settings.kafka), **options) as producer:
        producer.init_transactions()
        yield producer


def _begin(producer: KafkaProducer, records: Sequence[ConsumerRecord]) -> None:
    """Send the records once more, in a transaction that stays open."""
    producer.begin_transaction()
    _send(producer, records)


def _send(producer: KafkaProducer, records: Sequence[ConsumerRecord]) -> None:
    """Send the records once more, and return when Kafka has them."""
    under_way = [
        producer.send(each.topic, each.value, each.key, each.headers, each.partition)
        for each in records
    ]
    for future in under_way:
        future.get(_PATIENCE_SECONDS)


def _compress(ground: Ground, codecs: dict[str, str]) -> None:
    """Let the broker compress what comes to each of these topics from now on."""
    admin = KafkaAdminClient(**arguments(ground.settings.kafka))
    try:
        admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, topic, {"compression.type": codec})
                for topic, codec in codecs.items()
            ]
        )
    finally:
        admin.close()
