"""A bundle, a registry whose champion it is, and what the topics hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from contract import bundle
from contract.bundle import Bundle, Golden
from contract.scaling import Scaling
from contract.settings import Scoring
from contract.topics import Topics
from digitstream import broker
from tests.streaming.records import SHAPE, image


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small convolutional model with weights by chance, as training would leave it."""
    import keras

    from keras2dml import onnx
    from keras2dml.compilation import Compilation
    from keras2dml.scorer import CompiledModel

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


@pytest.fixture
def scoring(
    kafka_broker: broker.Broker, topics: Topics, registered: Path, tmp_path: Path
) -> Scoring:
    """Settings that score what is on fresh topics with a registry of their own, and end."""
    shutil.copy(registered, tmp_path)
    return Scoring(
        home=tmp_path,
        bootstrap_servers=kafka_broker.bootstrap_servers,
        master="local[2]",
        prefix=topics.readings.removesuffix(".readings"),
        available_now=True,
        engine="onnx",
    )
