"""A topic that is deleted and recreated is another topic, with readings of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from pyspark.sql import SparkSession

from contract.errors import RecordsLost
from contract.home.checkpoint import CheckpointDamaged
from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.kafka.topics import ensure
from contract.settings.programs import Scoring
from contract.wire.events import Source
from digitstream.accounts.topic_reader import open_reader
from digitstream.accounts.topics import Mark, Reconciliation, reconcile
from digitstream.health.query_state import QueryState
from streaming.query.program import score
from streaming.spark.topic_ids import KnownTopics, TopicRecreated
from tests.streaming.models.test_models import answered
from tests.streaming.query.test_triggers import scores
from tests.streaming.records import reading
from tests.streaming.wire import answers, messages, send, until

A, B = "q3JXh2k9TVK0lM3rNnQx5w", "AAAAAAAAAAAAAAAAAAAAAA"
TOPIC, OTHER = "lab.readings", "lab.replays"


def test_a_topic_is_known_by_its_id(tmp_path: Path) -> None:
    notes = tmp_path / "scoring.topics.json", tmp_path / "scoring" / "topics.json"
    assert KnownTopics.read(notes) == KnownTopics({})
    known = KnownTopics({}).joined({TOPIC: A, OTHER: B}, begun=())
    known.write(notes)
    assert KnownTopics.read(notes) == known
    assert known.label(TOPIC) == f"{TOPIC}.id-{A}"
    assert known.changed({TOPIC: A, OTHER: B}) == {}
    assert known.changed({TOPIC: B}) == {TOPIC: f"{TOPIC} had the id {A} and has the id {B}"}


def test_readings_keep_the_ids_that_they_had_before_ids_named_topics() -> None:
    known = KnownTopics({}).joined({TOPIC: A, OTHER: B}, begun=[TOPIC])
    assert (known.label(TOPIC), known.label(OTHER)) == (TOPIC, f"{OTHER}.id-{B}")
    assert known.joined({TOPIC: A, OTHER: A}, [TOPIC, OTHER]).plain == {TOPIC}
    assert known.joined({TOPIC: B, OTHER: B}, [TOPIC, OTHER]).plain == set()


def test_a_kafka_without_ids_cannot_tell_topics_apart() -> None:
    known = KnownTopics({}).joined({TOPIC: None}, begun=())
    assert (known.label(TOPIC), known.changed({TOPIC: A})) == (TOPIC, {})
    assert known.joined({TOPIC: A}, begun=[TOPIC]).label(TOPIC) == TOPIC


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        '{"lab.readings": "x"}',
        '{"lab.readings": {}}',
        '{"lab.readings": {"id": 5, "plain": false}}',
        '{"lab.readings": {"id": null, "plain": 1}}',
        "[" * 100_000,
        "\0",
    ],
    ids=lambda note: note[:40],
)
def test_a_damaged_file_of_topic_ids_is_reported(tmp_path: Path, note: str) -> None:
    file = tmp_path / "scoring.topics.json"
    file.write_text(note)
    copy = tmp_path / "scoring" / "topics.json"
    with pytest.raises(CheckpointDamaged, match=r"scoring\.topics\.json .*Restore it from a copy"):
        KnownTopics.read([file, copy])
    known = KnownTopics({TOPIC: A})
    known.write([copy])
    assert KnownTopics.read([file, copy]) == known
    file.unlink()
    assert KnownTopics.read([file, copy]) == known


def recreate(settings: Scoring) -> None:
    """Delete the topic of readings and recreate it."""
    topic = settings.topics.readings
    with open_log(settings.kafka) as log:
        before = log.topic_ids([topic])
        admin = KafkaAdminClient(**arguments(settings.kafka))
        admin.delete_topics([topic])
        until(lambda: not log.topic_ids([topic]))
        admin.close()
        ensure(settings.kafka, settings.topics)
        until(lambda: log.topic_ids([topic]) not in ({}, before))


def accounts(settings: Scoring) -> Reconciliation:
    state, topics = QueryState.of(settings), settings.topics
    mark = Mark(state.begun(topics.readings), {}, {}, {})
    stands = state.committed(topics.readings)
    with open_reader(settings.kafka) as reader:
        return reconcile(reader, topics, mark, stands, None, state.ids)


@pytest.mark.kafka
@pytest.mark.spark
def test_a_recreated_topic_is_answered_from_its_beginning_on_request(
    spark: SparkSession, scoring: Scoring
) -> None:
    send(scoring, [reading(number, device=f"device-{number}") for number in range(30)])
    scores(spark, scoring)
    old = {score.event_id for score in answers(scoring).scores}
    recreate(scoring)
    sent = send(scoring, [reading(number, device=f"device-{number}") for number in range(50)])
    before = accounts(scoring)
    assert (before.total("in_flight"), before.total("missing"), before.earlier) == (50, 0, 30)
    with pytest.raises(TopicRecreated, match=r"readings had the id \S+ and has .*--skip-lost"):
        scores(spark, scoring)
    assert len(answers(scoring).scores) == 30
    scores(spark, replace(scoring, skip_lost=True))
    new = [score for score in answers(scoring).scores if score.event_id not in old]
    assert sorted(score.source.place for score in new) == sorted(source.place for source in sent)
    assert len({score.event_id for score in answers(scoring).scores}) == 80
    after = accounts(scoring)
    assert (after.total("scored"), after.total("in_flight"), after.earlier) == (50, 0, 30)
    assert after.complete
    scores(spark, scoring)
    assert len(answers(scoring).scores) == 80


@pytest.mark.kafka
@pytest.mark.spark
def test_a_recreated_topic_stops_the_query_that_reads_it(
    spark: SparkSession, scoring: Scoring
) -> None:
    sent = send(scoring, [reading(number) for number in range(4)])
    going, stop = replace(scoring, available_now=False), threading.Event()
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(score, spark, going, stop, lambda sentence: None)
        answered(scoring, sent)
        recreate(scoring)
        # The topic becomes as long as the old one was: Spark alone would notice nothing.
        send(scoring, [reading(number) for number in range(4)])
        until(ended.done)
        stop.set()
    with pytest.raises((TopicRecreated, RecordsLost)):
        ended.result()
    with pytest.raises(TopicRecreated):
        scores(spark, scoring)


@pytest.mark.kafka
@pytest.mark.spark
def test_an_older_checkpoint_keeps_the_ids_of_its_answers(
    spark: SparkSession, scoring: Scoring
) -> None:
    send(scoring, [reading(1)])
    scores(spark, scoring)
    for note in scoring.topics_files:
        note.unlink()
    send(scoring, [reading(2)])
    scores(spark, scoring)
    first, second = (dict(message.headers) for message in messages(scoring, scoring.topics.scores))
    _, place = (Source(*score.source.place) for score in answers(scoring).scores)
    assert b".id-" in first["ce_id"]
    assert second["ce_id"] == place.id.encode()


@pytest.mark.kafka
@pytest.mark.spark
def test_a_checkpoint_behind_its_group_is_reported(spark: SparkSession, scoring: Scoring) -> None:
    topic = scoring.topics.readings
    send(scoring, [reading(number) for number in range(3)])
    scores(spark, scoring)
    send(scoring, [reading(3)])
    scores(spark, scoring)
    for kind in ("offsets", "commits"):
        last = max((scoring.checkpoint / kind).glob("[0-9]*"), key=lambda file: int(file.name))
        last.unlink()
        last.with_name(f".{last.name}.crc").unlink()
    sentences: list[str] = []
    score(spark, scoring, threading.Event(), sentences.append)
    assert any(f"behind Kafka's group {scoring.group}" in sentence for sentence in sentences)
    ids = [score.event_id for score in answers(scoring).scores]
    assert (len(ids), len({*ids})) == (5, 4)
    with open_log(scoring.kafka) as log:
        assert log.committed(scoring.group)[topic] == log.end([topic])[topic]
