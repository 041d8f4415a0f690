"""Drills of features that other clients and brokers use: transactions, compression."""

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
    "Readings come in transactions: committed ones are answered; aborted ones are neither answered "
    "nor missing; an open transaction is reported, and answered once it is committed.",
)
def _aborted_transactions(ground: Ground) -> str:
    sent = ground.send(_FEW)
    records = _read_records(ground)
    with _open_producer(ground) as producer:
        _begin(producer, records)
        producer.commit_transaction()
        _begin(producer, records)
        producer.abort_transaction()
        _begin(producer, records)
        ground.score("--available-now").result()
        seen = ground.check_all_answered(2 * sent)
        transactions = json.loads(ground.reconcile().result())["open_transactions"]
        topics = {transaction["topic"] for transaction in transactions}
        if topics != {ground.settings.topics.readings}:
            message = f"an open transaction is not reported: {transactions}"
            raise Broken(message)
        producer.commit_transaction()
    ground.score("--available-now").result()
    return f"with one open: {seen}; once it was committed: {ground.check_all_answered(3 * sent)}"


@drill(
    "compressed-topics",
    "Producers and topics compress, each with another codec: every program reads everything.",
)
def _compressed_topics(ground: Ground) -> str:
    topics = ground.settings.topics
    names = (topics.readings, topics.scores, topics.dead_letters, topics.replays, topics.progress)
    _compress(ground, dict(zip(names, ("zstd", "snappy", "lz4", "gzip", "zstd"), strict=True)))
    sent = ground.send(_FEW) + ground.send(_FEW, "--faults", BAD)
    records = _read_records(ground)
    for codec in CODECS:
        with KafkaProducer(**arguments(ground.settings.kafka), compression_type=codec) as producer:
            _send(producer, records)
    sent *= 1 + len(CODECS)
    ground.score("--available-now").result()
    seen, counts = ground.check_all_answered(sent), ground.accounts()
    scored, dead = counts.total("scored"), counts.total("dead_lettered")
    prefix = ["--prefix", ground.settings.prefix, "--json"]
    listed, replayed = (
        json.loads(ground.commands.start(["dead-letters", command, *prefix]).result())
        for command in ("list", "replay")
    )
    with ScoreStream(
        ground.settings.kafka, ground.settings.prefix, patience=_PATIENCE_SECONDS
    ) as scores:
        streamed = sum(1 for _, score in zip(range(scored), scores, strict=False))
    ground.score("--available-now").result()
    again = json.loads(ground.reconcile().result())
    ground.archive("--available-now").result()
    archived = json.loads(ground.reconcile("--from", "tables").result())
    counted = (listed["total"], replayed["sent"], streamed, again["replayed"], archived["produced"])
    if counted != (dead, dead, scored, dead, sent):
        message = f"{seen}; listed, replayed, streamed, answered again, archived: {counted}"
        raise Broken(message)
    letters = quantity(dead, "dead letter")
    return f"{seen}; {letters} listed and replayed, {streamed} scores streamed"


def _read_records(ground: Ground) -> list[ConsumerRecord]:
    """All readings in Kafka."""
    topic = ground.settings.topics.readings
    return [record for records in ground.reader.records(topic) for record in records]


@contextmanager
def _open_producer(ground: Ground) -> Iterator[KafkaProducer]:
    """A producer that can send transactions."""
    name = f"{ground.settings.prefix}-drill"
    options = {"transactional_id": name, "transaction_timeout_ms": _OPEN_MS, "acks": "all"}
    with KafkaProducer(**arguments(ground.settings.kafka), **options) as producer:
        producer.init_transactions()
        yield producer


def _begin(producer: KafkaProducer, records: Sequence[ConsumerRecord]) -> None:
    """Send the records again, in a transaction that stays open."""
    producer.begin_transaction()
    _send(producer, records)


def _send(producer: KafkaProducer, records: Sequence[ConsumerRecord]) -> None:
    """Send the records again; returns when Kafka has acknowledged them."""
    under_way = [
        producer.send(record.topic, record.value, record.key, record.headers, record.partition)
        for record in records
    ]
    for future in under_way:
        future.get(_PATIENCE_SECONDS)


def _compress(ground: Ground, codecs: dict[str, str]) -> None:
    """Let the broker compress new records of these topics with these codecs."""
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
