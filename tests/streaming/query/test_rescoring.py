"""The past once more, by another version; and both beside each other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pyspark.sql import SparkSession

from contract.kafka.topics import ensure_scores_topic
from contract.model.bundle import Bundle
from contract.settings.programs import Rescoring, Scoring
from contract.wire.events import Label, Score
from digitstream.accounts.topic_reader import open_reader
from digitstream.health.comparison import NothingToCompare, compare
from streaming.query.rescoring import rescore, slices
from tests.streaming.odd import ODD
from tests.streaming.onnx_models import linear, registered_as
from tests.streaming.query.test_triggers import scores
from tests.streaming.records import STORED, reading
from tests.streaming.wire import answers, messages, send, send_anything

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def again(scoring: Scoring, version: str, **changes: object) -> Rescoring:
    topic = f"{scoring.prefix}.again"
    ensure_scores_topic(scoring.kafka, topic, 2)
    return Rescoring(**{**vars(scoring), "version": version, "topic": topic, **changes})


def scored_to(settings: Rescoring) -> list[Score]:
    return [Score.of(*message) for message in messages(settings, settings.topic)]


def test_another_version_scores_existing_readings_again(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    sent = send(scoring, [reading(n, device=f"device-{n % 30}") for n in range(300)])
    odd = send_anything(spark, scoring, ODD.values())
    scores(spark, scoring)
    before = answers(scoring)
    version = registered_as(scoring, sealed, linear())
    settings = again(scoring, version, max_offsets_per_trigger=150)
    summary = rescore(spark, settings, print)
    found = scored_to(settings)
    assert sorted(score.source for score in found) == sorted(
        score.source for score in before.scores
    )
    assert {score.model.version for score in found} == {version}
    assert (summary.scored, summary.dead_letters) == (len(found), len(sent) + len(odd) - len(found))
    assert answers(scoring) == before

    truth = {score.id: score.prediction for score in before.scores[:100]}
    for id, label in truth.items():
        message = Label(id, label, STORED).message()
        _send_to(scoring, scoring.topics.labels, message)
    with open_reader(scoring.kafka) as reader:
        comparison = compare(reader, scoring.topics, [settings.topic], ("1", version))
        with pytest.raises(NothingToCompare, match=r"1 \([0-9]+ readings\) and 9 \(0\)"):
            compare(reader, scoring.topics, [settings.topic], ("1", "9"))
    said = {score.source.id: score.prediction for score in before.scores}
    new = {score.source.id: score.prediction for score in found}
    differing = {source for source in said if said[source] != new[source]}
    assert {source for source, _, _ in comparison.changed} == differing
    assert all((said[source], new[source]) == (a, b) for source, a, b in comparison.changed)
    assert comparison.both == len(found)
    assert comparison.agreement == pytest.approx(1 - len(differing) / len(found))
    assert comparison.labelled >= 100
    assert comparison.right[0] > comparison.right[1]


def test_only_what_kafka_stored_between_two_moments_is_scored(
    spark: SparkSession, scoring: Scoring
) -> None:
    moments = []
    parts = []
    for first in (0, 10, 20):
        parts.append(send(scoring, [reading(n) for n in range(first, first + 10)]))
        scores(spark, scoring)
        moments.append(max(score.times.broker for score in answers(scoring).scores))
    begin, end, _ = (moment + timedelta(milliseconds=1) for moment in moments)
    settings = again(scoring, "", from_timestamp=begin, to_timestamp=end)
    rescore(spark, settings, print)
    assert sorted(score.source for score in scored_to(settings)) == sorted(parts[1])


@pytest.mark.parametrize(
    ("span", "size"),
    [({0: (0, 10), 1: (5, 7)}, 4), ({0: (3, 3)}, 5), ({0: (0, 9), 1: (0, 1), 2: (4, 20)}, 1)],
)
def test_slices_cover_a_span_once_and_in_order(span: dict[int, tuple[int, int]], size: int) -> None:
    seen: dict[int, list[int]] = {part: [] for part in span}
    for piece in slices(span, size):
        assert sum(end - begin for begin, end in piece.values()) <= max(size, len(span))
        for part, (begin, end) in piece.items():
            seen[part] += range(begin, end)
    assert seen == {part: list(range(*whole)) for part, whole in span.items()}


def _send_to(settings: Scoring, topic: str, message: tuple) -> None:
    from kafka import KafkaProducer

    from contract.kafka.clients import arguments

    producer = KafkaProducer(**arguments(settings.kafka))
    key, value, headers = message
    producer.send(topic, key=key, value=value, headers=headers).get(10)
    producer.close()
