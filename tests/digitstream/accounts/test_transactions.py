"""Transactions on the topics: committed records count, aborted ones do not, open ones are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from kafka import KafkaProducer
from kafka.errors import CoordinatorNotAvailableError

from contract.kafka.clients import arguments
from contract.kafka.offsets import Log, open_log
from contract.kafka.transactions import OpenTransaction
from contract.settings.programs import Scoring
from contract.wire.events import DeadLetter, Source
from contract.wire.headers import ID
from contract.wire.messages import Message
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import TopicReader, open_reader
from digitstream.accounts.topics import reconcile
from digitstream.dead_letters.listing import read_listing
from digitstream.health.status import status
from digitstream.kafka.server import Broker
from tests.digitstream.conftest import Run
from tests.streaming.wire import until

pytestmark = pytest.mark.kafka

READING = Message(b"device-001", b"pixels", [])


class Wire:
    """Sends to the topics of one test, in transactions or without."""

    def __init__(self, broker: Broker, topics: Topics, transactional: KafkaProducer) -> None:
        self.topics, self.kafka = topics, broker.kafka
        self.settings = Scoring(
            bootstrap_servers=broker.bootstrap_servers,
            prefix=topics.readings.removesuffix(".readings"),
        )
        self.transactional = transactional

    def send(self, topic: str, *messages: Message) -> None:
        """Without a transaction."""
        with KafkaProducer(**arguments(self.kafka)) as producer:
            for message in messages:
                producer.send(topic, message.value, message.key, message.headers, 0)

    def begin(self, topic: str, *messages: Message) -> None:
        """In a transaction, which stays open."""
        self.transactional.begin_transaction()
        for message in messages:
            self.transactional.send(topic, message.value, message.key, message.headers, 0)
        self.transactional.flush()

    def commit(self, topic: str, *messages: Message) -> None:
        self.begin(topic, *messages)
        self.transactional.commit_transaction()

    def abort(self, topic: str, *messages: Message) -> None:
        self.begin(topic, *messages)
        self.transactional.abort_transaction()

    def done(self, log: Log, offsets: dict[int, int]) -> None:
        """Say that the query is done with the readings up to these offsets."""
        done = {self.topics.readings: offsets}

        def is_known() -> bool:
            with suppress(CoordinatorNotAvailableError):  # a new broker has had no group yet
                log.commit(self.settings.group, done)
            return log.committed(self.settings.group) == done

        until(is_known)

    def score(self, offset: int) -> Message:
        """As much of a score as says which reading it answers."""
        return Message(None, b"{}", [(ID, Source(self.topics.readings, 0, offset).id.encode())])

    def letter(self, offset: int) -> Message:
        source = Source(self.topics.readings, 0, offset)
        return DeadLetter("decode", "empty: x", source, 1, None, b"", ()).message()


@pytest.fixture
def wire(kafka_broker: Broker, topics: Topics) -> Iterator[Wire]:
    options = {"transaction_timeout_ms": 900_000, "acks": "all"}
    with KafkaProducer(
        **arguments(kafka_broker.kafka), transactional_id=topics.readings, **options
    ) as transactional:
        transactional.init_transactions()
        yield Wire(kafka_broker, topics, transactional)


@pytest.fixture
def reader(kafka_broker: Broker) -> Iterator[TopicReader]:
    with open_reader(kafka_broker.kafka) as made:
        yield made


def test_reconcile_counts_what_is_committed_and_nothing_else(
    wire: Wire, reader: TopicReader
) -> None:
    readings = wire.topics.readings
    wire.commit(readings, *[READING] * 30)  # 0 to 29, and a mark
    wire.abort(readings, *[READING] * 30)  # 31 to 60, and a mark
    wire.send(readings, *[READING] * 5)  # 62 to 66
    wire.abort(readings, *[READING] * 10)  # 67 to 76, and a mark
    wire.send(wire.topics.scores, *map(wire.score, [*range(29), *range(62, 66)]))
    wire.send(wire.topics.dead_letters, wire.letter(29), wire.letter(66))
    found = reconcile(reader, wire.topics, committed={0: 78, 1: 0})
    assert (found.total("produced"), found.total("scored")) == (35, 33)
    assert (found.total("dead_lettered"), found.total("in_flight"), found.complete) == (2, 0, True)
    assert reader.record(readings, 0, 5) is not None
    assert reader.record(readings, 0, 35) is None
    assert reader.record(readings, 0, 77) is None
    with open_log(wire.kafka) as log:
        assert log.open_transactions([readings]) == []


def test_a_gap_between_aborted_readings_is_found(wire: Wire, reader: TopicReader) -> None:
    wire.abort(wire.topics.readings, READING, READING)
    wire.commit(wire.topics.readings, READING, READING)
    wire.abort(wire.topics.readings, READING)
    wire.send(wire.topics.scores, wire.score(3))
    found = reconcile(reader, wire.topics, committed={0: 8, 1: 0})
    assert (found.total("produced"), found.partitions[0].gaps) == (2, [(4, 4)])


def test_aborted_answers_are_none(wire: Wire, reader: TopicReader) -> None:
    wire.send(wire.topics.readings, READING, READING)
    wire.abort(wire.topics.scores, wire.score(0), wire.score(1))
    wire.abort(wire.topics.dead_letters, wire.letter(0))
    wire.commit(wire.topics.dead_letters, wire.letter(1))
    found = reconcile(reader, wire.topics, committed={0: 2, 1: 0})
    assert (found.total("dead_lettered"), found.partitions[0].gaps) == (1, [(0, 0)])
    assert [each.offset for each in read_listing(reader, wire.topics, 10).letters] == [1]


def test_marks_do_not_wait_for_an_answer(wire: Wire, reader: TopicReader) -> None:
    readings = wire.topics.readings
    wire.commit(readings, READING)
    wire.abort(readings, READING)
    with open_log(wire.kafka) as log:
        wire.done(log, log.readable([readings])[readings])
        found = status(reader, log, wire.settings, datetime.now(UTC))
        assert (found.waiting, found.open_transactions) == (0, [])


def test_an_open_transaction_is_told_with_its_producer(
    wire: Wire, reader: TopicReader, run: Run
) -> None:
    readings = wire.topics.readings
    wire.send(readings, READING)
    wire.send(wire.topics.scores, wire.score(0))
    wire.begin(readings, READING, READING)
    wire.send(readings, READING)
    with open_log(wire.kafka) as log:
        assert log.readable([readings])[readings] == {0: 1, 1: 0}
        assert log.end([readings])[readings] == {0: 4, 1: 0}
        wire.done(log, {0: 1})
        found = status(reader, log, wire.settings, datetime.now(UTC))
        [held] = found.open_transactions
    assert found.waiting == 0
    assert (held.topic, held.partition, held.first, held.held_back) == (readings, 0, 1, 3)
    assert (held.transactional_id, type(held.producer)) == (readings, int)
    assert str(held.last_written).startswith("20")
    flags = ("--prefix", wire.settings.prefix, "--bootstrap-servers", str(wire.kafka))
    code, report, _ = run("reconcile", *flags, "--json")
    told = json.loads(report)
    assert (code, told["produced"], told["scored"], told["in_flight"]) == (0, 1, 1, 0)
    assert told["open_transactions"] == [vars(held)]
    sentence = f"is open in {readings}/0 and holds back 3 offsets from 1 on"
    assert sentence in " ".join(run("reconcile", *flags)[1].split())
    assert json.loads(run("status", *flags, "--json")[1])["open_transactions"] == [vars(held)]
    wire.transactional.commit_transaction()
    code, report, _ = run("reconcile", *flags, "--json")
    told = json.loads(report)
    assert (told["produced"], told["in_flight"], told["open_transactions"]) == (4, 3, [])


def test_an_open_transaction_is_told_without_what_kafka_does_not_tell() -> None:
    held = OpenTransaction("digits.readings", 0, 7, 2)
    assert str(held).startswith("A transaction is open in digits.readings/0 and holds back 2 off")
