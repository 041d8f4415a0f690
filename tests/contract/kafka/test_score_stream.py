"""Scores reach whoever builds on them once each, across restarts, and none is left out."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from contract import ScoreStream
from contract.errors import BadEvent, BrokerUnavailable, RecordsLost, TopicMissing
from contract.kafka.clients import arguments
from contract.kafka.connection import Kafka
from contract.kafka.score_stream import BadRecord
from contract.kafka.topics import ensure
from contract.wire.events import Model, Score, Source, Times
from contract.wire.messages import Message
from contract.wire.topics import Topics
from digitstream.kafka import server
from tests.own_broker import OwnBroker
from tests.streaming.wire import until

pytestmark = pytest.mark.kafka

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Seconds in which a score that is there has come, and in which another one would.
PATIENCE, GLANCE = 30.0, 2.0


class Scores:
    """A topic of scores to which a test sends."""

    def __init__(self, servers: str, topics: Topics) -> None:
        self.servers, self.topics, self.kafka = servers, topics, Kafka(servers)
        self.prefix = topics.readings.removesuffix(".readings")

    def score(self, offset: int, replay: int | None = None, part: int = 0) -> Score:
        first = Source(self.topics.readings, part, offset)
        source = first if replay is None else Source(self.topics.replays, 0, replay)
        model, times = Model("digits", "1", "onnx"), Times(None, NOW, NOW)
        again = None if replay is None else first
        return Score(f"r-{offset}", "d", 1, 0.75, (0.25, 0.75), model, source, times, again)

    def send(self, sent: Iterable[Message], part: int = 0) -> None:
        with KafkaProducer(**arguments(self.kafka)) as producer:
            futures = [
                producer.send(self.topics.scores, each.value, each.key, each.headers, part)
                for each in sent
            ]
            producer.flush()
        assert all(future.succeeded() for future in futures)

    def add(self, *offsets: int, part: int = 0) -> None:
        self.send((self.score(offset).message() for offset in offsets), part)

    def open(self, **options: Any) -> ScoreStream:
        return ScoreStream(self.servers, self.prefix, **{"patience": PATIENCE, **options})


@pytest.fixture
def scores(kafka_broker: server.Broker, topics: Topics) -> Scores:
    return Scores(kafka_broker.bootstrap_servers, topics)


def offsets(stream: Iterable[Score]) -> list[int]:
    return [int(score.event_id.rpartition("/")[2]) for score in stream]


def take(stream: ScoreStream, most: int) -> list[int]:
    return offsets(islice(stream, most))


def rest(stream: ScoreStream, count: int) -> list[int]:
    taken = take(stream, count)
    assert stream.poll(GLANCE) is None
    return taken


def test_each_score_comes_once_in_the_order_of_its_partition(scores: Scores) -> None:
    scores.add(0, 1, 2, 1, 3, 0, 4)
    scores.send([scores.score(2, replay=0).message(), scores.score(7, replay=1).message()] * 2)
    with ScoreStream(scores.kafka, scores.prefix, patience=PATIENCE) as stream:
        found = list(islice(stream, 6))
        assert rest(stream, 0) == []
    assert offsets(found) == [0, 1, 2, 3, 4, 7]
    assert found[3] == scores.score(3)
    assert found[-1] == scores.score(7, replay=1)


def test_a_stream_without_a_group_begins_where_it_is_told(scores: Scores) -> None:
    scores.add(0, 1)
    with scores.open(from_beginning=False) as stream:
        assert stream.poll(2.0) is None
        scores.add(2)
        assert offsets([stream.poll(20.0)]) == [2]
        assert stream.poll() is None
    with scores.open() as stream:
        assert rest(stream, 3) == [0, 1, 2]


def test_a_group_goes_on_after_what_is_done(scores: Scores) -> None:
    scores.add(*range(10))
    with scores.open(group=scores.prefix) as stream:
        assert take(stream, 4) == [0, 1, 2, 3]
    # The fourth was in hand.
    with scores.open(group=scores.prefix) as stream:
        assert take(stream, 2) == [3, 4]
        stream.commit()
    with scores.open(group=scores.prefix) as stream:
        assert rest(stream, 5) == [5, 6, 7, 8, 9]


def test_a_group_that_wants_no_past_misses_nothing_since_it_began(scores: Scores) -> None:
    scores.add(0, 1)
    with scores.open(group=scores.prefix, from_beginning=False) as stream:
        assert stream.poll(2.0) is None
    scores.add(2, 3)
    with scores.open(group=scores.prefix, from_beginning=False) as stream:
        assert rest(stream, 2) == [2, 3]


def test_a_caller_may_say_alone_what_is_done(scores: Scores) -> None:
    scores.add(*range(9))
    with scores.open(group=scores.prefix, auto_commit=False) as stream:
        assert take(stream, 3) == [0, 1, 2]
        stream.commit()
        assert rest(stream, 6) == [3, 4, 5, 6, 7, 8]
    with scores.open(group=scores.prefix, auto_commit=False) as stream:
        assert rest(stream, 6) == [3, 4, 5, 6, 7, 8]


def test_an_error_of_the_callers_brings_its_score_again(scores: Scores) -> None:
    scores.add(*range(5))
    with pytest.raises(ZeroDivisionError), scores.open(group=scores.prefix) as stream:
        for score in stream:
            assert score.source.offset / (2 - score.source.offset) >= 0
    with scores.open(group=scores.prefix) as stream:
        assert rest(stream, 3) == [2, 3, 4]


def test_ids_are_remembered_across_a_restart(scores: Scores) -> None:
    scores.add(*range(5))
    for group in ("recalls", "forgets"):
        with scores.open(group=scores.prefix + group) as stream:
            assert rest(stream, 5) == [0, 1, 2, 3, 4]
    scores.add(3, 4, 5)
    with scores.open(group=scores.prefix + "recalls") as stream:
        assert rest(stream, 1) == [5]
    with scores.open(group=scores.prefix + "forgets", recall=0) as stream:
        assert rest(stream, 3) == [3, 4, 5]


def test_what_is_no_score_is_told_with_its_place(scores: Scores) -> None:
    scores.add(0)
    scores.send([Message(b"k", b"{}", []), Message(None, b"", [("ce_id", b"x")])])
    scores.add(1)
    group = scores.prefix
    for _ in range(2):  # whoever does not go on after it finds it there again
        with (
            scores.open(group=group) as stream,
            pytest.raises(
                BadEvent, match=rf"^{scores.topics.scores}/0/1: .* does not hold a score"
            ),
        ):
            list(stream)
    with scores.open(group=group) as stream:
        for _ in range(2):
            with pytest.raises(BadEvent, match=r"/0/[12]: "):
                next(stream)
        assert rest(stream, 1) == [1]
    told: list[BadRecord] = []
    with scores.open(on_bad=told.append) as stream:
        assert rest(stream, 2) == [0, 1]
    assert [each.place.offset for each in told] == [1, 2]
    assert told[0].message == Message(b"k", b"{}", [])


def test_members_of_a_group_share_the_scores(scores: Scores) -> None:
    found: list[list[int]] = [[], []]
    enough = threading.Event()

    def member(number: int) -> None:
        with scores.open(group=scores.prefix) as stream:
            while not enough.is_set():
                if (score := stream.poll(0.5)) is not None:
                    found[number] += offsets([score])

    members = [threading.Thread(target=member, args=(number,)) for number in range(2)]
    sent = count(0, 2)

    def both_have_some() -> bool:
        number = next(sent)
        scores.add(number)
        scores.add(number + 1, part=1)
        return all(found)

    try:
        for each in members:
            each.start()
        until(both_have_some)
        last = next(sent)
        until(lambda: {*found[0], *found[1]} == set(range(last)))
    finally:
        enough.set()
        for each in members:
            each.join()


def test_scores_that_retention_removed_are_told(scores: Scores) -> None:
    scores.add(*range(6))
    with scores.open(group=scores.prefix) as stream:
        assert take(stream, 2) == [0, 1]
    admin = KafkaAdminClient(**arguments(scores.kafka))
    admin.delete_records({TopicPartition(scores.topics.scores, 0): 4})
    admin.close()
    with (
        scores.open(group=scores.prefix) as stream,
        pytest.raises(RecordsLost, match="retention deleted them"),
    ):
        list(stream)


def test_no_broker_and_no_topic_are_told_at_once(scores: Scores) -> None:
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:9"):
        ScoreStream("127.0.0.1:9")
    with pytest.raises(TopicMissing, match=r"nowhere\.scores"):
        ScoreStream(scores.servers, "nowhere")


PROGRAM = """
import os, sys
from contract import ScoreStream
from kafka import KafkaConsumer

KafkaConsumer.DEFAULT_CONFIG["session_timeout_ms"] = 6_000  # how long Kafka waits for the dead
servers, prefix, group, count = sys.argv[1:]
with ScoreStream(servers, prefix, group, patience=60.0) as stream:
    for number, score in enumerate(stream, 1):
        print(score.source.offset, flush=True)
        if number == int(count):
            os._exit(9)
"""


@pytest.mark.slow
def test_a_killed_program_loses_nothing(scores: Scores) -> None:
    scores.add(*range(2_000))
    command = [sys.executable, "-c", PROGRAM, scores.servers, scores.prefix, scores.prefix]
    ended = subprocess.run([*command, "700"], capture_output=True, text=True, check=False)
    taken = [int(line) for line in ended.stdout.split()]
    assert (ended.returncode, taken) == (9, list(range(700)))
    with scores.open(group=scores.prefix, patience=60.0) as stream:
        rest = take(stream, 1)
        rest += take(stream, 2_000 - 1 - rest[0])
    assert rest == list(range(rest[0], 2_000))
    assert rest[0] <= 700


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broker_that_restarts_is_outwaited(own_broker: OwnBroker) -> None:
    scores = Scores(own_broker.start(), Topics.named("restart"))
    ensure(scores.kafka, scores.topics)
    scores.add(*range(300))

    def restarted() -> str:
        time.sleep(3)  # the stream has taken what its client had, and waits
        address = own_broker.start()
        scores.add(*range(250, 400))
        return address

    with ThreadPoolExecutor() as pool, scores.open(group="g", patience=120.0) as stream:
        found = take(stream, 150)
        own_broker.stop()
        restarting = pool.submit(restarted)
        found += take(stream, 250)
        assert restarting.result() == scores.servers
    assert Counter(found) == Counter(range(400))
    with scores.open(group="g", patience=120.0) as stream:
        assert take(stream, 1) == [399]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()
