"""The whole system in one page: train, stream, score, and account for every reading."""

from __future__ import annotations

import threading
from math import inf

import pytest

from contract.data import datasets
from contract.data.datasets import Dataset
from contract.settings.programs import Producing, Scoring, Training
from digitstream.accounts.topic_reader import open_reader
from digitstream.accounts.topics import reconcile
from digitstream.kafka import server
from producers import program as producers
from streaming.query import program
from training import program as training


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
@pytest.mark.parametrize("engine", [pytest.param("onnx", marks=pytest.mark.long), "systemds"])
def test_every_reading_is_answered(
    engine: str, spark, kafka_broker: server.Broker, topics, tmp_path
):
    shared = {
        "home": tmp_path,
        "bootstrap_servers": kafka_broker.bootstrap_servers,
        "prefix": topics.readings.removesuffix(".readings"),
    }

    # Historical images become a model, which SystemDS trains; its bundle becomes the champion.
    train, test = datasets.sample("train"), datasets.sample("test")
    history = Dataset(train.images[:600], train.labels[:600], train.name)
    settings = Training(**shared, epochs=2, batch_size=50)
    trained = training.fit(settings, spark, history, test, report=lambda planned, steps: None)
    settings.registry.promote(trained.version)

    # Devices send images, one in ten of them faulty on purpose.
    sent = producers.run(Producing(**shared, count=400, rate=inf, faults="10%", label_delay=0.0))
    assert sent.readings >= 400

    # The scoring query answers each of them.
    summary = program.score(
        spark, Scoring(**shared, engine=engine, available_now=True), threading.Event(), print
    )
    assert summary.scored + summary.dead_letters == sent.readings

    # And every one is accounted for.
    with open_reader(kafka_broker.kafka) as reader:
        found = reconcile(reader, topics)
    assert found.complete
    assert found.total("produced") == sent.readings
    assert found.total("scored") == summary.scored
    assert found.total("dead_lettered") == summary.dead_letters > 0
    assert found.total("duplicates") == found.total("in_flight") == 0
