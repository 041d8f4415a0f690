from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaProducer

from contract.kafka.clients import arguments
from contract.wire.events import DeadLetter, Label, Model, Score, Source, Times
from contract.wire.messages import Message
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import open_reader
from digitstream.accounts.topics import Mark, Partition, Reconciliation
from digitstream.commands.demo import picture
from digitstream.demo import demo, plots, report
from digitstream.kafka.server import Broker

COUNTS = Partition(0, 4, 3, 1, 0, 0, 0, [])
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
FIELDS = {
    "train",
    "accuracy",
    "readings",
    "scored",
    "dead_letters",
    "missing",
    "duplicates",
    "readings_per_s",
    "latency_ms",
    "engine",
}


def made(partition: Partition = COUNTS) -> report.Report:
    """A report of three scores: right, wrong, and one of which nobody knows the truth."""
    scores = report.Scores(
        predicted=np.array([3, 5, 3]),
        true=np.array([3, 3]),
        labelled=np.array([True, True, False]),
        latency_ms=np.array([100.0, 200.0, 300.0]),
        arrived_ms=np.array([1000, 3000, 2500]),
        engines=("onnx",),
        by_broker=True,
    )
    history = {"loss": [1.0, 0.5], "accuracy": [0.5, 0.75]}
    return report.Report(
        training={"seconds": 2.0, "images_per_s": 10.0, "accuracy": 0.9, "history": history},
        scores=scores,
        dead_letters=Counter({"empty": 1}),
        reconciliation=Reconciliation("digits.readings", [partition]),
        warm_up=0,
        rate=2,
    )


def test_the_figures_are_those_of_the_scores() -> None:
    value = made().to_json()
    assert value.keys() >= FIELDS
    assert value["train"] == {"seconds": 2.0, "images_per_s": 10.0, "accuracy": 0.9}
    assert value["accuracy"] == 0.5
    assert value["latency_ms"] == {"p50": 200.0, "p95": 290.0, "p99": 298.0}
    assert value["readings_per_s"] == 1.5
    assert (value["readings"], value["scored"], value["dead_letters"]) == (4, 3, 1)
    assert (value["missing"], value["duplicates"]) == (0, 0)
    assert value["classes"] == [3, 5]
    assert value["confusion"] == [[1, 1], [0, 0]]


def test_the_pictures_are_drawn(tmp_path: Path) -> None:
    files = plots.draw(made(), tmp_path / "report")
    assert [file.name for file in files] == [
        "learning-curve.png",
        "confusion-matrix.png",
        "latency.png",
    ]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    assert picture(made())


def test_a_missing_reading_and_a_low_accuracy_fail_the_demo() -> None:
    missing = replace(COUNTS, missing=1, in_flight=2)
    with pytest.raises(demo.DemoFailed, match=r"3 readings have neither .* accuracy is 50\.00%"):
        demo.check_report(made(missing), Path("score.log"))


def test_a_report_of_nothing_has_figures_and_no_pictures_of_it(tmp_path: Path) -> None:
    nothing = np.empty(0)
    bare = report.Scores(nothing, nothing, nothing.astype(bool), nothing, nothing, (), False)
    empty = replace(made(), scores=bare, dead_letters=Counter())
    (tmp_path / "latency.png").write_bytes(b"of an earlier run")
    assert [file.name for file in plots.draw(empty, tmp_path)] == ["learning-curve.png"]
    assert not (tmp_path / "latency.png").exists()
    value = empty.to_json()
    assert (value["accuracy"], value["readings_per_s"], value["latency_ms"]["p99"]) == (0, 0, 0)
    assert picture(empty)
    with pytest.raises(demo.DemoFailed, match=r"accuracy is 0\.00%.* score\.log\.$"):
        demo.check_report(empty, Path("score.log"))


@pytest.mark.kafka
def test_scores_meet_their_labels_and_the_clock(kafka_broker: Broker, topics: Topics) -> None:
    producer = KafkaProducer(**arguments(kafka_broker.kafka))

    def send(topic: str, message: Message) -> None:
        producer.send(topic, message.value, message.key, message.headers, 0).get(10)

    def score(offset: int, device: datetime | None) -> Score:
        model, source = Model("digits", "1", "onnx"), Source(topics.readings, 0, offset)
        times = Times(device, NOW, NOW)
        return Score(f"id-{offset}", "device-001", 7, 0.9, (0.1, 0.9), model, source, times)

    with open_reader(kafka_broker.kafka) as reader:
        send(topics.readings, Message(None, b"before", []))
        since = Mark.now(reader, topics)
        just_now = datetime.now(UTC) - timedelta(seconds=5)
        for each in (score(0, just_now), score(1, just_now), score(1, just_now), score(2, None)):
            send(topics.scores, each.message())
        send(topics.labels, Label("id-1", 7, NOW).message())
        source = Source(topics.readings, 0, 3)
        letter = DeadLetter("decode", "empty: no bytes", source, 1, b"device-001", None, ())
        send(topics.dead_letters, letter.message())
        found = report.scores(reader, topics, since)
        letters = report.dead_letters(reader, topics, since)
    producer.close()
    assert found.predicted.tolist() == [7, 7]
    assert found.labelled.tolist() == [True, False]
    assert found.true.tolist() == [7]
    assert 5000 <= found.latency_ms.item() < 15000
    assert found.by_broker
    assert letters == {"empty": 1}
