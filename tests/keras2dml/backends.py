"""Scores and three training steps beside Keras' own, on the backend that Keras has here. Run with
the Python of an environment in which keras2dml is installed, and nothing else of this repository.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import keras
import numpy as np
from keras import layers
from keras.src.backend.common import dtypes

import keras2dml
from keras2dml import Keras2DML, spark_session

ROWS, BATCH, CLASSES = 18, 6, 3
FORWARD, WEIGHTS = 1e-9, 1e-8
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(0.01),
}


def models() -> Iterator[tuple[str, list[keras.Layer]]]:
    """What is named, before a softmax."""
    pooled = [layers.MaxPooling2D(), layers.Flatten()]
    yield "Dense", [keras.Input((5,)), layers.Dense(7, activation="relu")]
    yield "Conv2D", [keras.Input((6, 5, 2)), layers.Conv2D(4, 3, padding="same"), *pooled]
    yield (
        "BatchNormalization",
        [
            *(keras.Input((6, 5, 2)), layers.Conv2D(4, 3), layers.BatchNormalization()),
            *(layers.Activation("relu"), layers.Flatten()),
        ],
    )
    yield "LSTM", [keras.Input((4, 3)), layers.LSTM(5)]
    yield "GRU", [keras.Input((4, 3)), layers.GRU(5)]
    yield "Embedding", [keras.Input((4,)), layers.Embedding(5, 3), layers.Flatten()]


def main(backend: str) -> int:
    """How many comparisons were made; a difference ends the program."""
    assert keras.config.backend() == backend
    # Keras computes in float64 on TensorFlow alone: elsewhere it casts to float32 in between.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    keras.config.set_floatx("float64")
    spark = spark_session(master="local[2]")
    compared = 0
    for name, stack in models():
        for optimizer, made in OPTIMIZERS.items():
            model = keras.models.clone_model(
                keras.Sequential([*stack, layers.Dense(CLASSES, activation="softmax")])
            )
            model.compile(made(), "sparse_categorical_crossentropy", metrics=["accuracy"])
            assert model.weights[0].value.dtype in (np.float64, "float64") or backend == "torch"
            generator = np.random.default_rng(7)
            features = generator.normal(size=(ROWS, *model.input_shape[1:]))
            if name == "Embedding":  # numbers that come again in a batch
                features = generator.integers(0, 3, features.shape).astype(float)
            labels = np.arange(ROWS) % CLASSES
            ours = Keras2DML(spark, model, batch_size=BATCH, display=0)
            scores = ours.predict_proba(features)
            near(scores, model.predict(features, verbose=0), FORWARD, f"{name} scores")
            if backend == "torch":
                ours.fit(loader(features, labels), epochs=1)
            else:
                ours.fit(features, labels, epochs=1, shuffle=False)
            model.fit(features, labels, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
            for one, other in zip(ours.to_keras().get_weights(), model.get_weights(), strict=True):
                near(one, other, WEIGHTS, f"{name} with {optimizer}")
            compared += 1
    spark.stop()
    return compared


def loader(features: np.ndarray, labels: np.ndarray) -> Iterable[Any]:
    """The batches as PyTorch's DataLoader gives them."""
    data = import_module("torch.utils.data")
    rows = list(zip(features, labels, strict=True))
    return data.DataLoader(rows, batch_size=BATCH)


def near(array: np.ndarray, expected: np.ndarray, distance: float, what: str) -> None:
    """End the program where the arrays differ by more."""
    scale = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(array - expected).max())
    if not difference <= distance * scale:
        sys.exit(f"{what}: differs from Keras by {difference}")


if __name__ == "__main__":
    count = main(sys.argv[1])
    sys.stdout.write(f"{count} models are Keras' own, with {keras2dml.__file__}\n")
