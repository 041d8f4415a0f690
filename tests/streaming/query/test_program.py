"""The whole query on a real Kafka and a real Spark: each record is answered exactly once."""

from __future__ import annotations

import threading
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
from pyspark.sql import SparkSession

from contract.errors import BundleError, NoChampion
from contract.model import bundle
from contract.model.bundle import Bundle
from contract.settings.programs import Scoring
from contract.wire import images
from contract.wire.messages import Message
from contract.wire.progress import Progress
from streaming.errors import ModelFailed
from streaming.query.program import score
from tests.contract.wire.test_schemas import keeps, valid
from tests.streaming.imports import modules
from tests.streaming.odd import ODD
from tests.streaming.onnx_models import (
    by_fours,
    linear,
    moody,
    registered_as,
    upsetting,
)
from tests.streaming.records import reading
from tests.streaming.wire import answers, messages, send, send_anything, until_stored

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


SAID: list[str] = []
"""What the runs told of their models, by and by."""


def scores(spark: SparkSession, settings: Scoring) -> None:
    score(spark, settings, threading.Event(), SAID.append)


def unwatched(settings: Scoring) -> Scoring:
    """The same, but no version before the champion is there to take its place."""
    return replace(settings, guard_readings=0)


def test_each_record_of_a_zoo_is_answered_exactly_once(
    spark: SparkSession, scoring: Scoring
) -> None:
    zoo = [*ODD.values(), *[reading(number) for number in range(40)], *ODD.values()]
    sent = send_anything(spark, scoring, zoo)
    scores(spark, scoring)
    found = answers(scoring)
    assert sorted(found.sources) == sorted(sent)
    for letter in found.letters:
        original = sent[letter.source]
        assert Message(letter.key, letter.value, list(letter.headers)) == original
        assert letter.attempt == 1
    for message in messages(scoring, scoring.topics.scores):
        keeps("score", message)
    for message in messages(scoring, scoring.topics.dead_letters):
        shown = {name: (value or b"").decode(errors="replace") for name, value in message.headers}
        valid("dead-letter.schema.json", shown)
    plain = {source for source, message in sent.items() if message in zoo[len(ODD) : len(ODD) + 40]}
    assert plain <= {answer.source for answer in found.scores}


def test_a_topic_may_be_empty_at_first(spark: SparkSession, scoring: Scoring) -> None:
    scores(spark, scoring)
    assert not answers(scoring).sources
    sent = send(scoring, [reading()])
    scores(spark, scoring)
    assert answers(scoring).sources == list(sent)


def test_a_compressed_bomb_is_answered_without_its_bytes(
    spark: SparkSession, scoring: Scoring
) -> None:
    big = {"compression_type": "gzip", "max_request_size": 1 << 26}
    bombs = [
        reading()._replace(value=bytes(20 << 20)),
        reading()._replace(key=bytes(9 << 20)),
        reading()._replace(headers=[*reading().headers, ("x", bytes(9 << 20))]),
    ]
    sent = send(scoring, [*bombs, *[bombs[0]] * 10, reading(1)], **big)
    scores(spark, scoring)
    found = answers(scoring)
    assert sorted(found.sources) == sorted(sent)
    assert {letter.reason.partition(":")[0] for letter in found.letters} == {"too-large"}
    assert not any(letter.value for letter in found.letters)
    assert len(found.scores) == 1


def test_all_engines_give_the_golden_answers(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    inputs, golden, _ = sealed.golden
    sent = [
        reading(id=str(number), payload=images.encode(each)) for number, each in enumerate(inputs)
    ]
    send_anything(spark, scoring, [*sent, *ODD.values()])
    engines = ("onnx", "openvino", "systemds")
    for engine in engines:
        scores(spark, replace(scoring, engine=engine, name=engine))
    found = {
        engine: {
            score.id: score for score in answers(scoring).scores if score.model.engine == engine
        }
        for engine in engines
    }
    for number, probabilities in enumerate(golden):
        for engine in found.values():
            each = engine[str(number)]
            np.testing.assert_allclose(each.probabilities, probabilities, atol=1e-5)
            assert each.prediction == probabilities.argmax()
    assert found["onnx"].keys() == found["openvino"].keys() == found["systemds"].keys()


@pytest.fixture
def new_workers(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python workers that no test before has used: Spark keeps them apart by their environment."""
    monkeypatch.setitem(spark.sparkContext.environment, "DIGITSTREAM_TEST", uuid4().hex)


@pytest.mark.usefixtures("new_workers")
def test_workers_load_the_steps_and_no_more_than_they_need(
    spark: SparkSession, scoring: Scoring
) -> None:
    send(scoring, [reading(number) for number in range(10)])
    scores(spark, scoring)
    found = spark.range(4).mapInArrow(modules, "module string").distinct().collect()
    loaded = {row.module for row in found}
    assert {"streaming.steps.publish", "onnxruntime"} <= loaded
    assert not {"tensorflow", "keras", "mlflow", "kafka", "sklearn"} & loaded


@pytest.mark.usefixtures("new_workers")
def test_openvino_is_loaded_without_its_telemetry(spark: SparkSession, scoring: Scoring) -> None:
    send(scoring, [reading(number) for number in range(10)])
    scores(spark, replace(scoring, engine="openvino"))
    found = spark.range(4).mapInArrow(modules, "module string").distinct().collect()
    loaded = {row.module for row in found}
    assert "openvino" in loaded
    assert not [name for name in loaded if name.startswith("openvino_telemetry.")]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (moody(33), "gave probabilities that are not finite"),
        (linear(classes=9), r"gave \(20, 9\) for 20 images of 10 classes"),
        (linear(seed=3), "gave another class for [0-9]+ of 20 images"),
        (b"no model at all", "raised its file is not an ONNX model"),
    ],
    ids=["nan", "classes", "others", "not-onnx"],
)
def test_a_model_that_fails_its_golden_set_never_starts(
    spark: SparkSession, scoring: Scoring, sealed: Bundle, model: bytes, says: str
) -> None:
    version = registered_as(scoring, sealed, model, golden=sealed.golden)
    scoring.registry.promote(version)
    sent = send(scoring, [reading()])
    with pytest.raises(BundleError, match=f"^Model digits {version} fails.*: onnx {says}"):
        scores(spark, unwatched(scoring))
    scoring.registry.promote("1")
    scores(spark, scoring)
    assert answers(scoring).sources == list(sent)


def test_a_broken_model_stops_the_stream_and_loses_nothing(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    version = registered_as(scoring, sealed, by_fours())  # and its golden set are twenty
    scoring.registry.promote(version)
    sent = send(scoring, [reading()])
    with pytest.raises(ModelFailed, match=f"^Model digits {version} raised Fail: "):
        scores(spark, unwatched(scoring))
    assert not list((scoring.home / "checkpoints" / "scoring" / "commits").glob("[0-9]*"))
    scoring.registry.promote("1")
    scores(spark, scoring)  # the broken one watches, and its failure is nobody's loss
    assert answers(scoring).sources == list(sent)
    assert SAID[-1].startswith(f"Version {version} failed a micro-batch (Model digits {version} ")
    assert SAID[-1].endswith("): version 1 is no longer compared with it.")


def test_an_image_that_the_model_cannot_score_is_a_dead_letter(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    scoring.registry.promote(registered_as(scoring, sealed, moody()))
    upset = reading(99, payload=images.encode(upsetting()))
    sent = send(scoring, [*[reading(number) for number in range(30)], upset, reading(31)])
    scores(spark, unwatched(scoring))
    found = answers(scoring)
    assert sorted(found.sources) == sorted(sent)
    [letter] = found.letters
    assert (letter.stage, letter.slug) == ("score", "model-failed")
    assert Message(letter.key, letter.value, list(letter.headers)) == upset


def test_a_bundle_that_was_changed_is_refused(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    scoring.registry.promote(registered_as(scoring, sealed, linear()))
    (scoring.registry.resolve().folder / bundle.ONNX).write_bytes(b"something else")
    with pytest.raises(BundleError, match=r"model.onnx has SHA-256"):
        scores(spark, unwatched(scoring))


def test_without_a_champion_nothing_starts(spark: SparkSession, scoring: Scoring) -> None:
    with pytest.raises(NoChampion):
        scores(spark, replace(scoring, model="others"))


def test_a_promoted_model_takes_over_at_the_next_start(
    spark: SparkSession, scoring: Scoring, sealed: Bundle
) -> None:
    send(scoring, [reading(1)])
    scores(spark, scoring)
    version = scoring.registry.register(sealed, parameters={})
    scoring.registry.promote(version)
    send(scoring, [reading(2)])
    scores(spark, scoring)
    assert [score.model.version for score in answers(scoring).scores] == ["1", version]


def test_every_micro_batch_reports_its_progress(spark: SparkSession, scoring: Scoring) -> None:
    send(scoring, [reading(number) for number in range(25)] + [reading()._replace(value=None)] * 5)
    scores(spark, replace(scoring, max_offsets_per_trigger=12))
    found = messages(scoring, scoring.topics.progress)
    for message in found:
        keeps("progress", message)
    events = [Progress.of(*message) for message in found]
    assert [event.batch for event in events] == list(range(len(events)))
    assert sum(event.scored for event in events) == 25
    assert sum(event.dead_letters for event in events) == 5
    assert [event.rows for event in events] == [
        event.scored + event.dead_letters for event in events
    ]
    assert [event.lag.readings for event in events][-1] == 0
    assert events[0].lag.readings == 30 - events[0].rows
    assert events[-1].lag.seconds == events[-1].lag.drain_s == 0.0
    waited = events[0].lag.seconds
    assert waited is not None and 0 < waited < 600
    assert {event.lag.overtaken_s for event in events} == {None}  # this broker keeps all
    steps = {"decode", "validate", "scale", "score", "publish", "addBatch", "triggerExecution"}
    assert all(steps <= event.durations_ms.keys() for event in events)
    assert events[0].model is not None and events[0].model.engine == "onnx"


def test_stopping_finishes_the_micro_batch_that_runs(spark: SparkSession, scoring: Scoring) -> None:
    sent = send(scoring, [reading(number) for number in range(600)])
    small = replace(scoring, max_offsets_per_trigger=20, available_now=False)
    stop = threading.Event()
    running = threading.Thread(target=score, args=(spark, small, stop, SAID.append))
    running.start()
    try:
        until_stored(scoring, 41, scoring.topics.scores)
    finally:
        stop.set()
        running.join(60)
    before = len(answers(scoring).sources)
    assert 40 < before < 600
    scores(spark, scoring)
    assert sorted(answers(scoring).sources) == sorted(sent)
