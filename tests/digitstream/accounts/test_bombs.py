"""Records that are small on the wire and large for their readers, read by kafka-python."""

from __future__ import annotations

import pytest

from contract.kafka.score_stream import ScoreStream
from contract.wire.bounds import CUT_BYTES
from contract.wire.events import DeadLetter, Source
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import open_reader
from digitstream.accounts.topics import reconcile
from digitstream.dead_letters.listing import Selection, read_listing
from digitstream.dead_letters.raw_records import open_sender
from digitstream.dead_letters.replay import replay
from digitstream.drills.ground import raw_batches
from digitstream.kafka.server import Broker
from tests.streaming import records
from tests.streaming.archives import score
from tests.streaming.poison import STAMPS, clients_set_times

pytestmark = pytest.mark.kafka

BOMB = raw_batches.record(*records.reading(), empty_headers=8_000_000)
LIE = raw_batches.record(*records.reading(), size=2**31 - 1)
LARGE = raw_batches.record(b"d", bytes(CUT_BYTES + 1), records.reading().headers)


def put(broker: Broker, topic: str, *sent: bytes) -> None:
    """Send records to the first partition, each in a batch of its own."""
    for each in sent:
        raw_batches.send(broker.bootstrap_servers, topic, 0, raw_batches.batch([each]))


def test_bombs_are_counted(kafka_broker: Broker, topics: Topics) -> None:
    put(kafka_broker, topics.readings, BOMB, LIE, LARGE, BOMB)
    with open_reader(kafka_broker.kafka) as reader:
        assert reconcile(reader, topics).total("in_flight") == 4


def test_a_stream_of_scores_tells_them_and_goes_on(kafka_broker: Broker, topics: Topics) -> None:
    good = [raw_batches.record(*score(topics.readings, number)) for number in range(2)]
    put(kafka_broker, topics.scores, good[0], BOMB, LARGE, LIE, good[1])
    bad: list[Source] = []
    prefix = topics.readings.removesuffix(".readings")
    with ScoreStream(
        kafka_broker.kafka, prefix, patience=5, on_bad=lambda record: bad.append(record.place)
    ) as stream:
        assert [each.id for each in stream] == ["reading-0", "reading-1"]
    assert bad == [Source(topics.scores, 0, at) for at in (1, 2, 3)]


def test_dead_letters_of_any_time_are_listed(kafka_broker: Broker, topics: Topics) -> None:
    prefix = topics.readings.removesuffix(".readings")
    topics = Topics.named(clients_set_times(kafka_broker.kafka, prefix))
    letter = DeadLetter("decode", "empty: x", Source(topics.readings, 0, 0), 1, b"d", b"", ())
    sent = raw_batches.record(*letter.message())
    for stamp in STAMPS:
        batch = raw_batches.batch([sent], stamp=stamp)
        raw_batches.send(kafka_broker.bootstrap_servers, topics.dead_letters, 0, batch)
    with open_reader(kafka_broker.kafka) as reader:
        found = read_listing(reader, topics, last=len(STAMPS))
    assert [each.time for each in found.letters] == sorted(
        time.isoformat(timespec="milliseconds") for time in STAMPS.values()
    )


def test_what_no_reader_takes_whole_is_not_sent_again(kafka_broker: Broker, topics: Topics) -> None:
    put(kafka_broker, topics.readings, LARGE, BOMB)
    reasons = ("too-large: x", "too-many-headers: x")
    with open_sender(kafka_broker.kafka, topics.dead_letters) as sender:
        for offset, reason in enumerate(reasons):
            source = Source(topics.readings, 0, offset)
            sender.send([DeadLetter("decode", reason, source, 1, b"d", None, ()).message()])
    with open_reader(kafka_broker.kafka) as reader:
        found = replay(reader, topics, kafka_broker.kafka, Selection())
    assert (found.sent, found.left) == (
        0,
        {
            "is larger than the topic of replays takes": 1,
            "had more headers than a reading may have": 1,
        },
    )
