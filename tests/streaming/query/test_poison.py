"""A record that would stop or fill its readers costs no more than its own answer."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contract.kafka.topics import ensure
from contract.settings.programs import Scoring
from contract.wire.events import Source
from contract.wire.messages import Message
from digitstream.drills.ground import raw_batches
from digitstream.kafka import server
from digitstream.machine import jars, java
from streaming.query import program as scoring_query
from streaming.query.program import score
from tests.contract.wire.test_schemas import keeps
from tests.streaming.poison import STAMPS, clients_set_times, put
from tests.streaming.records import reading
from tests.streaming.wire import answers, messages, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]

BOMB_HEADERS = 8_000_000


def scores(spark: SparkSession, settings: Scoring) -> list[str]:
    said: list[str] = []
    score(spark, settings, threading.Event(), said.append)
    return said


def test_bombs_and_lies_get_one_answer_each(spark: SparkSession, scoring: Scoring) -> None:
    sent: dict[Source, Message] = {}
    for number in range(3):
        bomb = raw_batches.record(*reading(number), empty_headers=BOMB_HEADERS)
        sent[put(scoring, bomb)] = reading(number)
    lies = {}
    for number, size in enumerate((-5, 0, 3, 10_000, 10**9, 2**31 - 1)):
        place = put(scoring, raw_batches.record(*reading(number), size=size))
        lies[place] = reading(number)
    large = put(scoring, raw_batches.record(b"d", bytes(500 << 20), reading().headers))
    good = send(scoring, [reading(number) for number in range(40)])
    scores(spark, scoring)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*sent, *lies, large, *good])
    assert {score.source for score in published.scores} == {*lies, *good}
    letters = {letter.source: letter for letter in published.letters}
    assert letters.pop(large).slug == "too-large"
    for place, letter in letters.items():
        assert letter.reason == "too-many-headers: more than 1000; see its topic and offset"
        assert (letter.key, letter.value, letter.headers) == (*sent[place][:2], ())


def test_any_time_that_a_client_sets_gives_one_score(spark: SparkSession, scoring: Scoring) -> None:
    prefix = clients_set_times(scoring.kafka, scoring.prefix)
    scoring = replace(scoring, prefix=prefix)
    wanted: dict[Source, datetime] = {
        put(scoring, raw_batches.record(*reading(number)), stamp=time): told
        for number, (time, told) in enumerate(STAMPS.items())
    }
    scores(spark, scoring)
    published = answers(scoring)
    assert not published.letters
    assert {score.source: score.times.broker for score in published.scores} == wanted
    for message in messages(scoring, scoring.topics.scores):
        keeps("score", message)
    for message in messages(scoring, scoring.topics.progress):
        keeps("progress", message)


@pytest.mark.slow
@pytest.mark.long
def test_a_record_that_kafka_cannot_read_is_a_dead_letter(
    spark: SparkSession,
    scoring: Scoring,
    java_17: java.Java,
    spark_jars: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beats: list[Path] = []
    monkeypatch.setattr(scoring_query, "beat", beats.append)
    path = jars.ensure(jars.BROKER, java_17, Path(spark_jars[0]).parents[1])
    own = server.start(tmp_path / "own", java_17, path)
    settings = replace(scoring, bootstrap_servers=own.bootstrap_servers)
    ensure(settings.kafka, settings.topics, partitions=1)
    sent = [
        put(settings, *[raw_batches.record(*reading(at), offset=at) for at in range(5)]).offset
        for _ in range(3)
    ]
    assert sent == [0, 5, 10]
    server.stop(tmp_path / "own")
    [log] = Path(own.data).glob(f"{settings.topics.readings}-0/*.log")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    try:
        server.start(tmp_path / "own", java_17, path)
        [_, beginning, end] = scores(spark, settings)  # the first tells that it is ready
        published = answers(settings)
    finally:
        server.stop(tmp_path / "own")
    assert len(beats) > 8  # one for each part: whoever looks sees that it goes on
    assert beginning.startswith("Micro-batch 0 could not be answered as a whole (")
    assert end.startswith("Micro-batch 0 is answered, with 5 dead letters for readings that cannot")
    # One task of a part may have sent its answers when the other fails: they come again.
    offsets = {score.source.offset for score in published.scores}
    assert offsets == {*range(5), *range(10, 15)}
    assert len({score.event_id for score in published.scores}) == len(offsets)
    assert sorted(letter.source.offset for letter in published.letters) == [*range(5, 10)]
    assert {(letter.slug, letter.key, letter.value) for letter in published.letters} == {
        ("unreadable", None, None)
    }
