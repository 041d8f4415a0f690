"""When micro-batches run, what they read, and what Kafka's own tools see of that."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from pyspark.sql import SparkSession

from contract.errors import RecordsLost, SettingsError, TopicMissing
from contract.home.checkpoint import Checkpoint
from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.kafka.topics import check_topics_exist
from contract.settings.programs import Scoring
from contract.wire.events import Source
from contract.wire.progress import Progress
from streaming.query.program import score
from tests.streaming.models.test_models import answered, running
from tests.streaming.records import reading
from tests.streaming.wire import Sent, answers, messages, send, topic_id, until

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def scores(spark: SparkSession, settings: Scoring) -> None:
    score(spark, settings, threading.Event(), lambda sentence: None)


def told(settings: Scoring) -> list[Progress]:
    return [Progress.of(*message) for message in messages(settings, settings.topics.progress)]


def test_a_group_in_kafka_has_the_offsets_of_the_query(
    spark: SparkSession, scoring: Scoring
) -> None:
    sent = send(scoring, [reading(number) for number in range(20)])
    with running(spark, scoring):
        answered(scoring, sent)
        with open_log(scoring.kafka) as log:
            topic = scoring.topics.readings
            until(lambda: log.committed(scoring.group).get(topic) == log.end([topic])[topic], 20)
            later = send(scoring, [reading(number) for number in range(20)])
            answered(scoring, sent, later)


def test_a_micro_batch_takes_more_readings_where_it_takes_too_long_with_few(
    spark: SparkSession, scoring: Scoring
) -> None:
    sent = send(scoring, [reading(number) for number in range(4000)])
    with running(spark, replace(scoring, max_latency=0.02, available_now=False)):
        answered(scoring, sent)
    sizes = [event.rows for event in told(scoring)]
    assert sizes[0] == 500 < max(sizes)
    assert sorted(answers(scoring).sources) == sorted(sent)


def test_a_trigger_waits_between_micro_batches(spark: SparkSession, scoring: Scoring) -> None:
    sent: list[Sent] = []
    with running(spark, replace(scoring, trigger=2.0)):
        for number in range(3):
            sent.append(send(scoring, [reading(number)]))
            answered(scoring, *sent)
        until(lambda: len(told(scoring)) == 3, 10)
    _, one, two = told(scoring)  # the first begins when the query does
    assert two.time - one.time > timedelta(seconds=1.5)


def test_a_new_query_begins_where_it_is_told(spark: SparkSession, scoring: Scoring) -> None:
    early = send(scoring, [reading(number) for number in range(10)])
    scores(spark, replace(scoring, name="early"))
    since_early = max(score.times.broker for score in answers(scoring).scores)
    late = send(scoring, [reading(number) for number in range(10, 15)])
    since = replace(scoring, from_timestamp=since_early + timedelta(milliseconds=1))
    scores(spark, since)
    assert sorted(answers(scoring).sources) == sorted([*early, *late])
    begun = Checkpoint.read(scoring.checkpoint).begun
    assert begun[scoring.topics.readings] == {
        part: sum(source.partition == part for source in early) for part in (0, 1)
    }
    with pytest.raises(SettingsError, match=r"scoring of .* has begun already"):
        scores(spark, since)


def test_several_topics_are_read_and_each_reading_says_where_it_was(
    spark: SparkSession, scoring: Scoring
) -> None:
    lab = f"{scoring.prefix}-lab.readings"
    with pytest.raises(TopicMissing, match=lab):
        check_topics_exist(scoring.kafka, [lab])
    admin = KafkaAdminClient(**arguments(scoring.kafka))
    admin.create_topics([NewTopic(lab, 1, 1)])
    admin.wait_for_topics([lab])
    admin.close()
    sent = send(scoring, [reading(1)])
    elsewhere = KafkaProducer(**arguments(scoring.kafka))
    key, value, headers = reading(2)
    elsewhere.send(lab, key=key, value=value, headers=headers).get(10)
    elsewhere.close()
    both = replace(scoring, subscribe=f"{scoring.topics.readings}, {lab}")
    scores(spark, both)
    assert sorted(answers(scoring).sources) == sorted(
        [*sent, Source(lab, 0, 0, topic_id(scoring, lab))]
    )


def test_a_partition_that_is_new_is_read_from_its_beginning(
    spark: SparkSession, scoring: Scoring
) -> None:
    with running(spark, scoring):
        first = send(scoring, [reading(number) for number in range(20)])
        answered(scoring, first)
        admin = KafkaAdminClient(**arguments(scoring.kafka))
        admin.create_partitions({scoring.topics.readings: 4})
        admin.close()
        until(lambda: len(_partitions(scoring)) == 4)
        later = send(scoring, [reading(number, device=f"device-{number}") for number in range(60)])
        answered(scoring, first, later)
    assert {source.partition for source in later} > {2, 3}
    assert sorted(answers(scoring).sources) == sorted([*first, *later])


def _partitions(settings: Scoring) -> dict[int, int]:
    with open_log(settings.kafka) as log:
        return log.end([settings.topics.readings])[settings.topics.readings]


def test_lost_readings_are_reported_and_only_skipped_on_request(
    spark: SparkSession, scoring: Scoring
) -> None:
    thirty = [reading(number, device=f"device-{number}") for number in range(30)]
    first = send(scoring, thirty)
    scores(spark, scoring)
    send(scoring, thirty)
    topic = scoring.topics.readings
    with open_log(scoring.kafka) as log:
        ends = log.end([topic])[topic]
    kept = {part: end - 2 for part, end in ends.items()}
    admin = KafkaAdminClient(**arguments(scoring.kafka))
    admin.delete_records({TopicPartition(topic, part): end for part, end in kept.items()})
    admin.close()
    stood = {part: sum(source.partition == part for source in first) for part in (0, 1)}
    lost = "; ".join(
        f"{topic}/{part} from {stood[part]} to {kept[part] - 1} \\({kept[part] - stood[part]}\\)"
        for part in (0, 1)
        if kept[part] > stood[part]
    )
    for _ in range(2):
        with pytest.raises(RecordsLost, match=f"not answered yet: {lost}. Its retention"):
            scores(spark, scoring)
    assert len(answers(scoring).sources) == 30
    scores(spark, replace(scoring, skip_lost=True))
    found = set(answers(scoring).sources)
    id = topic_id(scoring, topic)
    left = {Source(topic, part, ends[part] - back, id) for part in kept for back in (1, 2)}
    assert left <= found
    assert len(found) == 30 + sum(ends[part] - max(stood[part], kept[part]) for part in kept)
    more = send(scoring, [reading(1)])
    scores(spark, scoring)
    assert {*more} <= {*answers(scoring).sources}
