from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from contract.errors import BrokerUnavailable, TopicMissing
from contract.kafka.clients import arguments
from contract.kafka.topics import ensure
from contract.wire.events import DeadLetter, Source
from contract.wire.headers import ID, OFFSET
from contract.wire.messages import Message
from contract.wire.topics import Topics
from digitstream.accounts import foreign as others
from digitstream.accounts.topic_reader import TopicReader, open_reader
from digitstream.accounts.topics import Mark, answered_places, reconcile
from digitstream.dead_letters.listing import read_listing
from digitstream.kafka import server
from digitstream.kafka.server import Broker
from digitstream.machine import jars
from digitstream.machine.java import Java

pytestmark = pytest.mark.kafka

READING = Message(b"device-001", b"pixels", [])


@pytest.fixture
def reader(kafka_broker: Broker) -> Iterator[TopicReader]:
    with open_reader(kafka_broker.kafka) as made:
        yield made


@pytest.fixture
def producer(kafka_broker: Broker) -> Iterator[KafkaProducer]:
    made = KafkaProducer(**arguments(kafka_broker.kafka))
    yield made
    made.close()


def send(producer: KafkaProducer, topic: str, messages: Iterable[Message], part: int = 0) -> None:
    for message in messages:
        producer.send(topic, message.value, message.key, message.headers, part)
    producer.flush()


def answer(topics: Topics, offset: int, part: int = 0) -> Message:
    """As much of a score as says which reading it answers."""
    return Message(None, b"{}", [(ID, Source(topics.readings, part, offset).id.encode())])


def letter(topics: Topics, offset: int, reason: str = "empty: no bytes") -> Message:
    source = Source(topics.readings, 0, offset)
    original = ((ID, b"other/0/7"), ("offset", b"99"))
    return DeadLetter("decode", reason, source, 1, b"device-001", b"xx", original).message()


def test_every_reading_is_counted_once_where_it_belongs(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.readings, [READING] * 10)
    send(producer, topics.readings, [READING] * 3, part=1)
    send(producer, topics.scores, [answer(topics, n) for n in (0, 1, 1, 2, 7)])
    send(producer, topics.scores, [answer(topics, n, part=1) for n in range(3)], part=1)
    send(producer, topics.dead_letters, [letter(topics, n) for n in (3, 0)])
    found = reconcile(reader, topics)
    first, second = found.partitions
    assert (first.produced, first.scored, first.dead_lettered) == (10, 4, 1)
    assert (first.missing, first.in_flight, first.duplicates) == (3, 2, 2)
    assert first.gaps == [(4, 6)]
    assert (second.produced, second.scored, second.missing, second.in_flight) == (3, 3, 0, 0)
    assert not found.complete
    assert found.total("produced") == 13


def test_the_checkpoint_tells_a_gap_from_a_batch_that_is_not_done(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.readings, [READING] * 6)
    send(producer, topics.scores, [answer(topics, n) for n in (0, 1, 5)])
    halfway = reconcile(reader, topics, committed={0: 2, 1: 0})
    assert (halfway.total("missing"), halfway.total("in_flight")) == (0, 3)
    done = reconcile(reader, topics, committed={0: 6, 1: 0})
    assert (done.total("missing"), done.partitions[0].gaps) == (3, [(2, 4)])


def test_what_came_before_a_mark_does_not_count(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.readings, [READING] * 4)
    mark = Mark.now(reader, topics)
    send(producer, topics.readings, [READING] * 2)
    send(producer, topics.scores, [answer(topics, n) for n in (0, 4, 5)])
    found = reconcile(reader, topics, mark)
    assert (found.total("produced"), found.total("scored"), found.complete) == (2, 2, True)


def test_the_marks_of_a_transaction_are_no_readings(
    kafka_broker: Broker, reader: TopicReader, topics: Topics
) -> None:
    servers = arguments(kafka_broker.kafka)
    with_marks = KafkaProducer(**servers, transactional_id=topics.readings, acks="all")
    with_marks.init_transactions()
    for _ in range(2):
        with_marks.begin_transaction()
        with_marks.send(topics.readings, b"pixels", partition=0).get(10)
        with_marks.commit_transaction()
    with_marks.close()
    producer = KafkaProducer(**servers)
    send(producer, topics.scores, [answer(topics, n) for n in (0, 2)])
    producer.close()
    assert reader.end(topics.readings)[0] == 4
    found = reconcile(reader, topics)
    assert (found.total("produced"), found.total("scored"), found.complete) == (2, 2, True)
    assert found.total("in_flight") == 0


def replayed(topics: Topics, offset: int, first: int, *, scored: bool) -> Message:
    """The answer to a replay that lies at `offset` of the reading that lay at `first`."""
    source, reading = Source(topics.replays, 0, offset), Source(topics.readings, 0, first)
    if not scored:
        bad = DeadLetter("decode", "empty: no bytes", source, 2, None, b"xx", (), reading)
        return bad.message()
    places = zip(("topic", "partition", "offset"), source.place, strict=True)
    named = [(ID, reading.id.encode()), *((name, str(part).encode()) for name, part in places)]
    return Message(None, b"{}", named)


def test_replays_are_counted_by_their_record_and_by_their_reading(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.readings, [READING] * 6)
    send(producer, topics.scores, [answer(topics, n) for n in (0, 1)])
    send(producer, topics.dead_letters, [letter(topics, n) for n in (2, 3, 4, 5)])
    send(producer, topics.replays, [READING] * 8)
    # 2 is scored at once, 3 at the second time, 4 twice over, 1 although it had a score, 5 not.
    scored = [(0, 2), (2, 3), (3, 4), (4, 4), (4, 4), (5, 1)]
    send(producer, topics.scores, [replayed(topics, *each, scored=True) for each in scored])
    dead = [(1, 3), (6, 5)]
    send(producer, topics.dead_letters, [replayed(topics, *each, scored=False) for each in dead])
    found = reconcile(reader, topics)
    first, again = found.partitions[0], found.replays[0]
    assert (first.produced, first.scored, first.dead_lettered, first.missing) == (6, 2, 4, 0)
    assert (first.replayed, first.recovered, first.duplicates) == (5, 3, 0)
    assert first.duplicate_ids == 2
    assert (again.produced, again.scored, again.dead_lettered) == (8, 5, 2)
    assert (again.in_flight, again.missing, again.duplicates) == (1, 0, 1)
    assert found.complete
    done = reconcile(reader, topics, committed_replays={0: 8})
    assert (done.replays[0].gaps, done.complete) == ([(7, 7)], False)


def test_what_is_no_replay_on_their_topic_is_counted_there(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.replays, [READING])
    stray = DeadLetter("decode", "empty: x", Source(topics.replays, 0, 0), 1, None, b"", ())
    send(producer, topics.dead_letters, [stray.message()])
    found = reconcile(reader, topics)
    assert (found.replays[0].dead_lettered, found.total("replayed"), found.complete) == (1, 0, True)


def test_every_gap_is_told(reader: TopicReader, producer: KafkaProducer, topics: Topics) -> None:
    send(producer, topics.readings, [READING] * 5001)
    send(producer, topics.scores, [answer(topics, n) for n in range(0, 5001, 2)])
    found = reconcile(reader, topics).partitions[0]
    assert found.gaps == [(n, n) for n in range(1, 5000, 2)]


def test_a_topic_that_is_not_there_is_named(reader: TopicReader) -> None:
    with pytest.raises(TopicMissing, match=r"nowhere\.readings"):
        reconcile(reader, Topics.named("nowhere"))


def test_what_is_no_answer_is_named_and_hides_none(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.readings, [READING] * 2)
    send(producer, topics.scores, [Message(None, b"{}", []), answer(topics, 0)])
    send(producer, topics.dead_letters, [Message(None, b"\xff", [(OFFSET, b"x")])] * 12)
    found = reconcile(reader, topics)
    assert (found.total("scored"), found.total("in_flight")) == (1, 1)
    assert (found.foreign.count, len(found.foreign.places)) == (13, 10)
    (sentence,) = found.foreign.sentences("answers")
    assert sentence.startswith(f"13 records among the answers are none ({topics.scores}/0/0, ")


@pytest.mark.parametrize(
    "score",
    [
        Message(None, b"{}", [(ID, b"lab.readings/0/99999999999999999999")]),
        Message(None, b"{}", [(ID, b"lab.readings/9999999999/0")]),
        Message(None, b"{}", [(ID, b"lab.readings/ 0 /0_1 ")]),
        Message(None, b"{}", [(ID, "lab.readings/\u0660/\u0667".encode())]),
        Message(None, b"{}", [(ID, b"lab.readings/0/1"), (ID, b"lab.readings/0/2")]),
        Message(None, b"{}", [("topic", b"lab.readings"), ("partition", b"0"), ("offset", b"+1")]),
        Message(None, None, [(ID, b"lab.readings/0/1")]),
    ],
    ids=lambda score: repr(score.headers)[:40],
)
def test_what_names_no_place_as_scores_do_answers_nothing(score: Message) -> None:
    bad = SimpleNamespace(value=score.value, headers=score.headers)
    good = SimpleNamespace(value=b"{}", headers=[(ID, b"lab.readings/0/7")])
    for offset, record in enumerate(records := [bad, good]):
        vars(record).update(topic="lab.scores", partition=0, offset=offset)
    foreign = others.Foreign()
    answered = answered_places("score", records, Topics.named("lab"), {}, foreign)
    assert answered.readings.tolist() == [[0, 7]]
    assert (foreign.count, foreign.places) == (1, ["lab.scores/0/0"])


class Foreign(str):
    """A header's name as a client in another language may send it."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def test_a_reading_with_a_name_that_is_no_text_is_counted(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    send(producer, topics.readings, [READING, READING._replace(headers=[(Foreign("x"), b"")])])
    assert reconcile(reader, topics).total("in_flight") == 2


@pytest.mark.long
def test_kafka_that_went_away_is_named(java_17: Java, tmp_path: Path) -> None:
    path = jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))
    started = server.start(tmp_path, java_17, path)
    ensure(started.kafka, Topics())
    with open_reader(started.kafka) as reader:
        assert set(reader.end(Topics().readings).values()) == {0}
        server.stop(tmp_path)
        with pytest.raises(BrokerUnavailable, match="No Kafka broker answers"):
            reader.end(Topics().readings)


def test_partitions_that_are_added_meanwhile_are_read(
    reader: TopicReader, producer: KafkaProducer, topics: Topics, kafka_broker: Broker
) -> None:
    before = len(reader.end(topics.readings))
    with closing(KafkaAdminClient(**arguments(kafka_broker.kafka))) as admin:
        admin.create_partitions({topics.readings: before + 1})
    often = {**arguments(kafka_broker.kafka), "metadata_max_age_ms": 100}
    with closing(KafkaProducer(**often)) as newcomer:
        while before not in newcomer.partitions_for(topics.readings):
            time.sleep(0.1)  # the broker tells of them when it has made them
        send(newcomer, topics.readings, [READING], part=before)
    assert reader.end(topics.readings)[before] == 1
    assert sum(len(records) for records in reader.records(topics.readings)) == 1


def test_dead_letters_are_counted_by_reason_and_the_newest_listed(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    letters = [letter(topics, n) for n in range(3)]
    letters.append(letter(topics, 3, reason="malformed: not JSON"))
    send(producer, topics.dead_letters, letters)
    found = read_listing(reader, topics, last=2)
    assert found.total == 4
    assert found.by_reason == [("decode", "empty", 3), ("decode", "malformed", 1)]
    assert [each.offset for each in found.letters] == [2, 3]
    newest = found.letters[-1]
    assert (newest.reason, newest.key, newest.bytes, newest.attempt) == (
        "malformed: not JSON",
        "device-001",
        2,
        1,
    )


@pytest.mark.slow
def test_many_answers_are_counted(
    reader: TopicReader, producer: KafkaProducer, topics: Topics
) -> None:
    many = 100_000
    send(producer, topics.readings, [READING] * many)
    send(producer, topics.scores, (answer(topics, n) for n in range(many)))
    found = reconcile(reader, topics)
    assert (found.total("scored"), found.complete) == (many, True)
