"""Dead letters that are sent again, through a real Kafka and a real Spark."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from pyspark.sql import SparkSession

from contract.model import bundle
from contract.model.bundle import Bundle, Golden
from contract.settings.programs import Scoring
from contract.wire import images
from contract.wire.messages import Message
from digitstream.accounts.topic_reader import TopicReader, open_reader
from digitstream.accounts.topics import Reconciliation, reconcile
from digitstream.dead_letters.listing import Selection
from digitstream.dead_letters.replay import ReplaySummary, replay
from digitstream.health.query_state import QueryState
from streaming.query.program import score
from tests.contract.wire.test_schemas import keeps
from tests.streaming.records import image
from tests.streaming.records import reading as sent_reading
from tests.streaming.wire import answers, messages, send_anything

pytestmark = [pytest.mark.kafka, pytest.mark.spark]

TALL = (29, 28, 1)


@pytest.fixture
def reader(scoring: Scoring) -> Iterator[TopicReader]:
    with open_reader(scoring.kafka) as made:
        yield made


def scores(spark: SparkSession, settings: Scoring) -> None:
    score(spark, settings, threading.Event(), lambda sentence: None)


def again(reader: TopicReader, settings: Scoring, **wanted: object) -> ReplaySummary:
    return replay(reader, settings.topics, settings.kafka, Selection(**wanted))


def account(reader: TopicReader, settings: Scoring) -> Reconciliation:
    state = QueryState.of(settings)
    readings, replays = (state.committed(topic) for topic in settings.topics.answered)
    return reconcile(reader, settings.topics, None, readings, replays, state.ids)


def tall_model(settings: Scoring, sealed: Bundle) -> None:
    """Promote a model for images of the shape TALL."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Flatten", ["X"], ["row"]),
        helper.make_node("Slice", ["row", "begin", "end", "axis"], ["some"]),
        helper.make_node("Softmax", ["some"], ["probabilities"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [at])
        for name, at in (("begin", 0), ("end", 10), ("axis", 1))
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tall",
        [helper.make_tensor_value_info("X", floats, ["N", *TALL])],
        [helper.make_tensor_value_info("probabilities", floats, ["N", 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = settings.home / "tall"
    (folder / "dml").mkdir(parents=True)
    (folder / "dml" / "model.json").write_text("{}")
    (folder / bundle.ONNX).write_bytes(model.SerializeToString())
    known = sealed.manifest
    made = bundle.write(
        folder,
        name=known.name,
        input_shape=TALL,
        classes=known.classes,
        scaling=known.scaling,
        versions={},
        data_sha256=known.data_sha256,
        metrics={},
        golden=Golden(
            np.zeros((1, *TALL), np.uint8), np.full((1, 10), 0.1, np.float32), np.zeros(1, np.int64)
        ),
    )
    settings.registry.promote(settings.registry.register(made, parameters={}))


def tall(number: int) -> Message:
    """A reading that only that model takes, with headers that not every client can send."""
    picture = images.encode(image(number, TALL), images.PNG)
    made = sent_reading(number, content_type=images.PNG, payload=picture)
    return made._replace(headers=[*made.headers, ("x", None), ("x", b"\xff"), ("attempt", b"7")])


def test_dead_letters_become_scores_under_the_ids_of_their_readings(
    spark: SparkSession, scoring: Scoring, sealed: Bundle, reader: TopicReader
) -> None:
    plain = [sent_reading(number) for number in range(5)]
    sent = send_anything(spark, scoring, [*plain, *[tall(n) for n in range(5, 8)]])
    firsts = {source for source, message in sent.items() if message not in plain}
    scores(spark, scoring)
    assert {letter.source for letter in answers(scoring).letters} == firsts

    # Nothing has changed yet: each fails again, as its second attempt, and is what it was.
    assert again(reader, scoring).by_reason == {"wrong-shape": 3}
    assert again(reader, scoring).sent == 0
    scores(spark, scoring)
    letters = [letter for letter in answers(scoring).letters if letter.attempt == 2]
    assert {letter.first for letter in letters} == firsts
    for letter in letters:
        assert letter.source.topic == scoring.topics.replays
        assert Message(letter.key, letter.value, list(letter.headers)) == sent[letter.first]
    half = account(reader, scoring)
    assert half.complete
    assert (half.total("dead_lettered"), half.total("replayed"), half.total("recovered")) == (
        3,
        3,
        0,
    )

    # Now a model takes them.
    tall_model(scoring, sealed)
    assert again(reader, scoring, reason="wrong-shape").sent == 3
    scores(spark, scoring)
    found = answers(scoring)
    ids = Counter(score.event_id for score in found.scores)
    assert ids == Counter(source.id for source in sent)
    recovered = [score for score in found.scores if score.replay_of is not None]
    assert {score.replay_of for score in recovered} == firsts
    assert {score.source.topic for score in recovered} == {scoring.topics.replays}
    for message in messages(scoring, scoring.topics.scores):
        keeps("score", message)
    for message in messages(scoring, scoring.topics.replays):
        keeps("replay", message._replace(headers=message.headers[:3]))
    done = account(reader, scoring)
    assert done.complete
    assert (done.total("recovered"), done.total("duplicate_ids")) == (3, 0)
    assert sum(part.produced for part in done.replays) == 6
    assert again(reader, scoring).left == {"was sent again already": 3}


def test_a_reading_that_is_replayed_twice_has_one_id(
    spark: SparkSession, scoring: Scoring, reader: TopicReader
) -> None:
    sent = send_anything(spark, scoring, [sent_reading(1)._replace(value=None)])
    scores(spark, scoring)
    (first,) = sent
    again(reader, scoring)
    (replayed,) = messages(scoring, scoring.topics.replays)
    # As if the device's bytes had been good all along, and two operators had replayed at once.
    good = replayed._replace(value=sent_reading(1).value)
    places = send_anything(spark, scoring, [good, good], topic=scoring.topics.replays)
    forged = sent_reading(2)._replace(headers=[*replayed.headers[:3], *sent_reading(2).headers])
    (device,) = send_anything(spark, scoring, [forged])
    scores(spark, scoring)
    found = answers(scoring)
    assert Counter(score.event_id for score in found.scores) == {first.id: 2, device.id: 1}
    assert {score.source for score in found.scores} == {*places, device}
    assert [letter.attempt for letter in found.letters] == [1, 2]
    done = account(reader, scoring)
    assert done.complete
    assert (done.total("recovered"), done.total("duplicate_ids")) == (1, 1)


def test_a_checkpoint_without_replays_still_works(
    spark: SparkSession, scoring: Scoring, reader: TopicReader
) -> None:
    """A query that only knew the readings takes the topic of replays in where it stands."""
    sent = send_anything(spark, scoring, [sent_reading(n)._replace(value=None) for n in range(3)])
    scores(spark, scoring)
    offsets = scoring.home / "checkpoints" / "scoring" / "offsets"
    for file in offsets.glob("[0-9]*"):
        version, batch, source = file.read_text().splitlines()
        known = json.loads(source)
        del known[scoring.topics.replays]
        file.write_text("\n".join([version, batch, json.dumps(known)]))
        file.with_name(f".{file.name}.crc").unlink()
    again(reader, scoring)
    scores(spark, scoring)
    letters = answers(scoring).letters
    assert Counter(letter.attempt for letter in letters) == {1: 3, 2: 3}
    assert {letter.first for letter in letters} == set(sent)
