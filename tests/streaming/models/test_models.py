"""Models that come, go and are compared while the query runs; each reading is answered once."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import SparkSession

from contract.model.bundle import Bundle
from contract.model.registry import CHALLENGER
from contract.notices import Notice
from contract.settings.programs import Scoring
from contract.wire import images
from contract.wire.events import Score
from contract.wire.progress import Agreement, Progress
from streaming.query.program import score
from tests.contract.wire.test_schemas import keeps
from tests.streaming.lasting import answered, heard, running, some
from tests.streaming.onnx_models import golden_of, linear, moody, registered_as, upsetting
from tests.streaming.records import SHAPE, image, reading
from tests.streaming.wire import Sent, answers, messages, send, until

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def versions(published: list[Score]) -> list[str]:
    return [score.model.version for score in published]


def told(settings: Scoring) -> list[Progress]:
    return [Progress.of(*message) for message in messages(settings, settings.topics.progress)]


def test_a_promoted_model_takes_over_while_the_query_runs(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    small = replace(scoring, guard_agreement=0.0, guard_slowness=1e9)
    with running(spark, small) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(registered_as(scoring, sealed, linear()))
        heard(sentences, "Version 2 of digits scores from now on.")
        second = some(scoring, 30)
        answered(scoring, first, second)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*first, *second])
    assert {score.source: score.model.version for score in published.scores} == {
        **dict.fromkeys(first, "1"),
        **dict.fromkeys(second, "2"),
    }


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(linear(), id="others", marks=pytest.mark.long),
        pytest.param(b"no model at all", id="not-onnx"),
    ],
)
def test_a_model_that_fails_its_golden_set_never_takes_over(
    spark: SparkSession, scoring: Scoring, sealed: Bundle, model: bytes
) -> None:
    with running(spark, scoring) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(registered_as(scoring, sealed, model, sealed.golden))
        heard(sentences, "Version 2 cannot be champion")
        second = some(scoring, 30)
        answered(scoring, first, second)
        third = some(scoring, 60)
        answered(scoring, first, second, third)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*first, *second, *third])
    assert set(versions(published.scores)) == {"1"}
    [sentence] = sentences
    assert sentence.startswith("Version 2 cannot be champion: Model digits 2 fails its golden set")
    assert sentence.endswith("Version 1 continues as champion.")


def test_a_new_model_that_disagrees_is_rolled_back(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    with running(spark, replace(scoring, guard_readings=20)) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(registered_as(scoring, sealed, linear()))
        heard(sentences, "Version 2 of digits scores from now on.")
        second = some(scoring, 30)
        until(lambda: scoring.registry.resolve().version == "1")
        third = some(scoring, 60)
        answered(scoring, first, second, third)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*first, *second, *third])
    assert {score.model.version for score in published.scores if score.source in third} == {"1"}
    assert "2" in versions(published.scores)
    [removed] = [version for version in scoring.registry.versions() if version.version == "2"]
    assert (
        removed.removed is not None and "gave the class of the previous version" in removed.removed
    )
    [rollback] = [sentence for sentence in sentences if "it is no longer champion" in sentence]
    assert "Version 1 continues as champion" in rollback and isinstance(rollback, Notice)
    opinions = [event.opinions["guard"] for event in told(scoring) if "guard" in event.opinions]
    assert sum(agreement.asked for agreement in opinions) >= 20
    for message in messages(scoring, scoring.topics.progress):
        keeps("progress", message)


def test_a_new_model_is_watched_across_a_restart(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    watched = replace(scoring, guard_readings=20)
    with running(spark, watched) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(registered_as(scoring, sealed, linear()))
        heard(sentences, "Version 2 of digits scores from now on.")
        second = some(scoring, 30, 5)
        answered(scoring, first, second)
    assert scoring.registry.resolve().version == "2"
    with running(spark, watched) as sentences:
        third = some(scoring, 60)
        until(lambda: scoring.registry.resolve().version == "1")
        fourth = some(scoring, 90)
        answered(scoring, first, second, third, fourth)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*first, *second, *third, *fourth])
    assert {score.model.version for score in published.scores if score.source in second} == {"2"}
    assert {score.model.version for score in published.scores if score.source in fourth} == {"1"}
    [rollback] = [sentence for sentence in sentences if "it is no longer champion" in sentence]
    assert "Version 1 continues as champion" in rollback and isinstance(rollback, Notice)


def test_a_champion_that_cannot_score_does_not_stop_the_previous_one(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    scoring.registry.promote(registered_as(scoring, sealed, b"no model at all", sealed.golden))
    sent = some(scoring, 0)
    with running(spark, scoring) as sentences:
        answered(scoring, sent)
    assert set(versions(answers(scoring).scores)) == {"1"}
    assert sentences[0].startswith("Version 2 cannot be champion: ")


def test_a_champion_of_other_images_begins_alone(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    wide = linear(shape=(*SHAPE[:2], 3))
    golden = golden_of(wide, sealed, np.repeat(sealed.golden.inputs, 3, axis=3))
    with running(spark, scoring) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(registered_as(scoring, sealed, wide, golden))
        heard(sentences, "Version 2 cannot be champion")
        second = some(scoring, 30)
        answered(scoring, first, second)
    assert set(versions(answers(scoring).scores)) == {"1"}
    assert "one shape: start another query for it. Version 1 continues" in sentences[0]
    with running(spark, scoring) as sentences:
        third = some(scoring, 60)
        answered(scoring, first, second, third)
    letters = answers(scoring).letters
    assert {letter.source for letter in letters} == set(third)  # images of the other shape
    assert sentences[0].startswith(
        "Version 1 cannot be compared with the champion: It takes images of"
    )
    assert f"of {SHAPE}, but this query's have {(*SHAPE[:2], 3)}" in sentences[0]


def test_a_new_model_that_agrees_stays(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    watched = replace(scoring, guard_readings=20, guard_slowness=1e9)
    with running(spark, watched) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(scoring.registry.register(sealed, parameters={}))
        heard(sentences, "Version 2 of digits scores from now on.")
        later: Sent = {}
        for number in range(30, 210, 30):  # each at least a micro-batch of its own
            later |= some(scoring, number)
            answered(scoring, first, later)
        until(lambda: scoring.registry.baseline() is None)  # for every query that begins later
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*first, *later])
    assert {score.model.version for score in published.scores if score.source not in first} == {"2"}
    assert sentences == ["Version 2 of digits scores from now on."]
    assert not told(scoring)[-1].opinions  # its first readings are over


def test_readings_of_a_new_model_that_fails_go_to_the_previous_one(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    with running(spark, replace(scoring, guard_agreement=0.0)) as sentences:
        first = some(scoring, 0)
        answered(scoring, first)
        scoring.registry.promote(registered_as(scoring, sealed, moody()))
        heard(sentences, "Version 2 of digits scores from now on.")
        second = send(scoring, [reading(99, payload=images.encode(upsetting()))])
        answered(scoring, first, second)
    published = answers(scoring)
    assert sorted(set(published.sources)) == sorted([*first, *second])
    assert set(versions(published.scores)) == {"1"}
    assert scoring.registry.resolve().version == "1"
    assert any("Version 2 failed a micro-batch" in sentence for sentence in sentences)


def test_the_shadow_scores_a_share_to_its_own_topic(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    scoring.registry.promote(registered_as(scoring, sealed, linear()), CHALLENGER)
    sent = some(scoring, 0, 400)
    odd = send(scoring, [reading()._replace(value=None)] * 40)
    with running(spark, replace(scoring, shadow=0.25)):
        answered(scoring, sent, odd)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*sent, *odd])
    assert set(versions(published.scores)) == {"1"}
    shadows = [Score.of(*message) for message in messages(scoring, scoring.topics.shadow_scores)]
    assert 50 < len(shadows) < 150
    assert set(versions(shadows)) == {"2"}
    assert len({score.source for score in shadows}) == len(shadows)
    assert {score.source for score in shadows} < set(sent)
    predictions = {score.source: score.prediction for score in published.scores}
    same = sum(score.prediction == predictions[score.source] for score in shadows)
    opinions = [event.opinions["shadow"] for event in told(scoring) if "shadow" in event.opinions]
    assert Agreement(*map(sum, zip(*opinions, strict=True))) == (len(shadows), same)


def test_the_canary_answers_some_devices(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    scoring.registry.promote(registered_as(scoring, sealed, linear()), CHALLENGER)
    sent = some(scoring, 0, 300)
    odd = send(scoring, [reading(device=f"device-{n}")._replace(value=None) for n in range(30)])
    with running(spark, replace(scoring, canary=0.3, guard_readings=0)):
        answered(scoring, sent, odd)
    published = answers(scoring)
    assert sorted(published.sources) == sorted([*sent, *odd])
    by_version = {
        version: {score.device for score in published.scores if score.model.version == version}
        for version in ("1", "2")
    }
    assert by_version["1"] and by_version["2"]
    assert not by_version["1"] & by_version["2"]


@pytest.mark.parametrize("model", [linear(), moody()], ids=["disagrees", "fails"])
def test_a_canary_that_does_worse_is_dismissed(
    spark: SparkSession, scoring: Scoring, sealed: Bundle, model: bytes
) -> None:
    scoring.registry.promote(registered_as(scoring, sealed, model), CHALLENGER)
    with running(spark, replace(scoring, canary=0.5, guard_readings=10)) as sentences:
        upset = [reading(n, device=f"device-{n}") for n in range(30)]
        payload = images.encode(upsetting())
        upset += [reading(30 + n, device=f"device-{n}", payload=payload) for n in range(30)]
        sent = send(scoring, upset)
        answered(scoring, sent)
        until(lambda: any("it is no longer challenger" in sentence for sentence in sentences))
        later = some(scoring, 60)
        answered(scoring, sent, later)
    published = answers(scoring)
    assert set(published.sources) == {*sent, *later}
    assert {score.model.version for score in published.scores if score.source in later} == {"1"}
    assert not any(version.aliases == (CHALLENGER,) for version in scoring.registry.versions())


def test_auto_takes_the_fastest_engine_that_is_right_and_says_so(
    spark: SparkSession, scoring: Scoring
) -> None:
    sent = send(
        scoring, [reading(number, payload=images.encode(image(number))) for number in range(9)]
    )
    sentences: list[str] = []
    score(spark, replace(scoring, engine="auto"), threading.Event(), sentences.append)
    published = answers(scoring)
    assert sorted(published.sources) == sorted(sent)
    [engine] = {score.model.engine for score in published.scores}
    sentence, ready = sentences
    assert ready == f"Ready: digits 1 scores with {engine}."
    assert sentence.startswith(f"{engine} scores with digits 1; on its golden set: onnx ")
    assert "openvino-int8 has no model in the bundle" in sentence
