"""Replays that Kafka does not take: each is counted, and the command ends."""

from __future__ import annotations

import random
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.fetcher import ConsumerRecord

from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from contract.kafka.topics import ensure
from contract.settings.programs import Settings
from contract.wire.events import DeadLetter, Source
from contract.wire.topics import Topics
from digitstream.accounts import topic_reader
from digitstream.accounts.topic_reader import TopicReader, open_reader
from digitstream.dead_letters.listing import Selection
from digitstream.dead_letters.raw_records import open_sender
from digitstream.dead_letters.replay import REFUSED, SENT, STOPPED, ReplayFailed, replay
from digitstream.kafka.server import Broker
from producers import sending as producing
from tests.own_broker import OwnBroker, stored

pytestmark = pytest.mark.kafka

LIMIT = 20_000


def letter(topics: Topics, offset: int, value: bytes) -> DeadLetter:
    source = Source(topics.readings, 0, offset)
    return DeadLetter("decode", "empty: x", source, 1, b"d", value, ())


def send_letters(kafka: Kafka, topics: Topics, letters: list[DeadLetter]) -> None:
    with open_sender(kafka, topics.dead_letters) as sender:
        assert all(sender.send([letter.message() for letter in letters]))


@pytest.fixture
def reader(kafka_broker: Broker) -> Iterator[TopicReader]:
    with open_reader(kafka_broker.kafka) as reader:
        yield reader


def test_replays_beside_one_that_is_too_large_are_taken(
    kafka_broker: Broker, topics: Topics, reader: TopicReader
) -> None:
    kafka = kafka_broker.kafka
    with KafkaAdminClient(**arguments(kafka)) as admin:
        limit = {"max.message.bytes": str(LIMIT)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.replays, limit)])
    noise = random.Random(7)
    sizes = [LIMIT * 2 if number in (3, 11) else 500 for number in range(40)]
    letters = [letter(topics, at, noise.randbytes(size)) for at, size in enumerate(sizes)]
    send_letters(kafka, topics, letters)
    replayed = replay(reader, topics, kafka, Selection())
    assert (replayed.sent, replayed.left) == (38, {REFUSED: 2})
    assert stored(kafka, topics.replays) == 38


class PausingReader(TopicReader):
    """Calls `pause` before it gives the second part of what it reads from a position on."""

    pause: Callable[[], None]

    def records(
        self,
        topic: str,
        start: Mapping[int, int] | None = None,
        stop: Mapping[int, int] | None = None,
    ) -> Iterator[list[ConsumerRecord]]:
        for number, records in enumerate(super().records(topic, start, stop)):
            if start is not None and number == 1:
                self.pause()
            yield records


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(180)  # it never ended
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broker_that_is_paused_for_too_long_ends_a_replay_with_exact_counts(
    own_broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producing, "OUTWAITED_MS", 3_000)
    monkeypatch.setattr(topic_reader, "POLL_RECORDS", 20)
    settings = Settings(bootstrap_servers=own_broker.start())
    kafka, topics = settings.kafka, settings.topics
    ensure(kafka, topics, partitions=1)
    send_letters(kafka, topics, [letter(topics, at, b"x") for at in range(50)])
    continued = threading.Timer(5.0, own_broker.signal, [signal.SIGCONT])

    def pause() -> None:
        own_broker.signal(signal.SIGSTOP)
        continued.start()

    with open_reader(kafka) as reader:
        reader.__class__ = PausingReader
        reader.pause = pause
        with pytest.raises(ReplayFailed) as error:
            replay(reader, topics, kafka, Selection())
    counts = re.search(
        r"(\d+) of (\d+) are acknowledged, (\d+) are lost, and (\d+) are", str(error.value)
    )
    assert counts is not None
    acknowledged, wanted, lost, unknown = map(int, counts.groups())
    assert (acknowledged, wanted, lost, unknown) == (20, 50, 10, 20)
    continued.join()
    with open_reader(kafka) as reader:
        rest = replay(reader, topics, kafka, Selection())
    assert rest.sent + rest.left.get(SENT, 0) == 50
    assert stored(kafka, topics.replays) >= 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_replay_with_everything_counted(
    kafka_broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(topic_reader, "POLL_RECORDS", 20)
    kafka = kafka_broker.kafka
    send_letters(kafka, topics, [letter(topics, at, b"x") for at in range(50)])
    with open_reader(kafka) as reader:
        reader.__class__ = PausingReader
        reader.pause = lambda: signal.raise_signal(number)
        stopped = replay(reader, topics, kafka, Selection())
    assert 0 < stopped.sent < 50
    assert stopped.left == {STOPPED: 50 - stopped.sent}
    assert stored(kafka, topics.replays) == stopped.sent
    with open_reader(kafka) as reader:
        assert replay(reader, topics, kafka, Selection()).left == {SENT: stopped.sent}
    assert stored(kafka, topics.replays) == 50
