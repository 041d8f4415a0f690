"""What tests share: a real broker, fresh topics on it, a real Spark; made when first used."""

from __future__ import annotations

import gc
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from pyspark.sql import SparkSession

from contract.kafka.topics import ensure
from contract.model import bundle
from contract.model.bundle import Bundle, Golden
from contract.model.registry import Registry
from contract.model.scaling import Scaling
from contract.settings.programs import Scoring
from contract.wire.topics import Topics
from digitstream.kafka import server
from digitstream.machine import jars, java
from digitstream.machine.bounded_client import ensure_bounded
from streaming.spark.session import session
from tests.own_broker import OwnBroker
from tests.quick_java import quick_java
from tests.streaming.records import SHAPE, image

# Random cases for each property; `make test-all` asks for `many`.
hypothesis.settings.register_profile("few", max_examples=50, deadline=None)
hypothesis.settings.register_profile("many", max_examples=500, deadline=None)
hypothesis.settings.load_profile("few")


@pytest.fixture(scope="session", autouse=True)
def _quick_registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite registry is a copy of one whose tables MLflow made, which takes a second."""
    client: Any = Registry.__dict__["_client"]
    template = tmp_path_factory.getbasetemp() / "empty-registry.db"

    def copied(registry: Registry) -> Any:
        file = Path(registry.tracking_uri.removeprefix("sqlite:///"))
        if registry._is_file and file.parent.is_dir() and not file.exists():
            if not template.exists():
                address = f"sqlite:///{template.as_posix()}"
                client.func(Registry(address, template.parent)).search_experiments()
            shutil.copyfile(template, file)
        return client.func(registry)

    quick: Any = cached_property(copied)
    quick.__set_name__(Registry, "_client")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "_client", quick)
        yield


@pytest.fixture(scope="session")
def java_17() -> java.Java:
    found = java.find(os.environ)
    os.environ["JAVA_HOME"] = str(found.home)
    return found


def _shared_broker(
    name: str, java_17: java.Java, factory: pytest.TempPathFactory, *, secure: bool = False
) -> tuple[Path, server.Broker]:
    """The home of a broker for all processes of pytest-xdist, and the broker."""
    base = factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    path = jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))
    with quick_java():
        return home, server.start(home, java_17, path, secure=secure)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Stop the shared brokers when pytest-xdist's processes have ended."""
    yield
    if "PYTEST_XDIST_WORKER" not in os.environ:
        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        for name in ("broker", "locked"):
            server.stop(factory.getbasetemp() / name)


@pytest.fixture(scope="session")
def kafka_broker(java_17: java.Java, tmp_path_factory: pytest.TempPathFactory) -> server.Broker:
    return _shared_broker("broker", java_17, tmp_path_factory)[1]


@pytest.fixture
def own_broker(java_17: java.Java, tmp_path: Path) -> Iterator[OwnBroker]:
    """A broker of the test's own, not yet started."""
    own = OwnBroker(tmp_path, java_17)
    yield own
    own.stop()
    gc.collect()  # kafka-python leaves it the sockets of attempts that failed


@pytest.fixture(scope="session")
def locked_home(java_17: java.Java, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a broker that lets in only who has one of its profiles."""
    return _shared_broker("locked", java_17, tmp_path_factory, secure=True)[0]


@pytest.fixture
def topics(kafka_broker: server.Broker) -> Topics:
    named = Topics.named(f"test-{uuid.uuid4().hex[:8]}")
    ensure(kafka_broker.kafka, named)
    return named


@pytest.fixture(scope="session")
def spark_jars(java_17: java.Java) -> list[Path]:
    cache = jars.cache(os.environ)
    return ensure_bounded(jars.ensure(jars.CONNECTOR, java_17, cache), java_17, cache)


@pytest.fixture(scope="session")
def spark(request: pytest.FixtureRequest, spark_jars: list[Path]) -> Iterator[SparkSession]:
    """One session for all: it can train, score and speak to Kafka."""
    is_long = any(item.get_closest_marker("compute_bound") for item in request.session.items)
    with nullcontext() if is_long else quick_java():
        # Few rows need no more than two tasks after a shuffle, where Spark starts 200.
        spark = session("local[2]", spark_jars, {"spark.sql.shuffle.partitions": "2"})
    yield spark
    spark.stop()


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small convolutional model with weights by chance, as training would leave it."""
    import keras

    from keras2dml.compilation import Compilation
    from keras2dml.estimators.scorer import CompiledModel
    from keras2dml.export import onnx

    keras.utils.set_random_seed(7)
    layers = [
        keras.Input(SHAPE),
        keras.layers.Conv2D(4, 5, strides=3, padding="same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers, name="small")
    compiled, scaling = Compilation.of(model), Scaling(1 / 255, 0.0)
    folder = tmp_path_factory.mktemp("bundle")
    CompiledModel.of(compiled.graph, compiled.weights()).save(folder / bundle.DML)
    exported = onnx.exported(compiled.graph, compiled.weights()).SerializeToString()
    (folder / bundle.ONNX).write_bytes(exported)
    golden = np.stack([image(number) for number in range(20)])
    probabilities = np.asarray(model(scaling.apply(golden)), np.float32)
    return bundle.write(
        folder,
        name="digits",
        input_shape=SHAPE,
        classes=tuple(range(10)),
        scaling=scaling,
        versions={},
        data_sha256="0" * 64,
        metrics={},
        golden=Golden(golden, probabilities, probabilities.argmax(axis=1)),
    )


@pytest.fixture(scope="session")
def registered(sealed: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which the bundle is the champion."""
    home = tmp_path_factory.mktemp("registry")
    registry = Scoring(home=home).registry
    registry.promote(registry.register(sealed, parameters={}))
    return home / "mlflow.db"
