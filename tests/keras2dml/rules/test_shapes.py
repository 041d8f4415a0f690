"""Layers that merge values or put elements elsewhere score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from keras import layers
from oracle import agrees, fresh, learns, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE, SEQUENCE = (6, 5, 3), (7, 4)
MERGING = [
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
]
MOVING = [
    (IMAGE, layers.Reshape((5, 2, 9))),
    (IMAGE, layers.Reshape((-1, 10))),
    (IMAGE, layers.Permute((3, 1, 2))),
    (IMAGE, layers.ZeroPadding2D(((1, 0), (2, 3)))),
    (IMAGE, layers.ZeroPadding2D((0, 1), data_format="channels_first")),
    (IMAGE, layers.Cropping2D(((1, 0), (2, 1)))),
    (IMAGE, layers.Cropping2D(1, data_format="channels_first")),
    (IMAGE, layers.UpSampling2D((2, 3))),
    (IMAGE, layers.Identity()),
    (SEQUENCE, layers.ZeroPadding1D((2, 1))),
    (SEQUENCE, layers.Cropping1D((0, 3))),
    (SEQUENCE, layers.UpSampling1D(3)),
    (SEQUENCE, layers.Reshape((2, 14))),
    (SEQUENCE, layers.Permute((2, 1))),
    ((5,), layers.RepeatVector(4)),
]


def ended(x: keras.KerasTensor, value: keras.KerasTensor) -> keras.Model:
    classes = layers.Dense(3, activation="softmax")(layers.Flatten()(value))
    return seeded(keras.Model(x, classes))


def branches(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    convolved = [layers.Conv2D(4, 2, padding="same")(x) for _ in range(2)]
    return [*convolved, layers.Dense(4, activation="tanh")(x)]


@pytest.mark.parametrize("layer", MERGING)
def test_merging_scores_and_learns_as_keras(spark, layer):
    x = keras.Input(IMAGE)
    values = branches(x)[: 2 if layer is layers.Subtract else 3]
    built = ended(x, layer()(values))
    agrees(spark, built)
    learns(spark, built)


@pytest.mark.parametrize("layer", [layers.Multiply, layers.Add])
def test_axes_of_one_are_repeated(spark, layer):
    x = keras.Input(IMAGE)
    image = layers.Conv2D(4, 2)(x)
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, activation="sigmoid")(layers.Flatten()(image)))
    for pair in ([image, gate], [gate, image]):
        built = ended(x, layers.Conv2D(2, 2)(layer()(pair)))
        agrees(spark, built)
        learns(spark, built)


@pytest.mark.parametrize("axis", [-1, 1, 2, 3])
def test_concatenation_scores_and_learns_as_keras(spark, axis):
    x = keras.Input(IMAGE)
    built = ended(x, layers.Conv2D(2, 2)(layers.Concatenate(axis=axis)(branches(x))))
    agrees(spark, built)
    learns(spark, built)


def test_operators_score_and_learn_as_keras(spark):
    x = keras.Input(IMAGE)
    one, two, _ = branches(x)
    built = ended(x, 2.0 - (one + two) * 0.25 - (two * one - 0.5) + 1.0)
    agrees(spark, built)
    learns(spark, built)


@pytest.mark.parametrize(("shape", "layer"), MOVING, ids=lambda value: getattr(value, "name", None))
def test_moving_scores_and_learns_as_keras(spark, shape, layer):
    x = keras.Input(shape)
    before = layers.Dense(shape[-1], activation="tanh")(x)
    built = ended(x, layers.Dense(3)(fresh(layer)(before)))
    agrees(spark, built)
    learns(spark, built)
    agrees(spark, seeded(keras.Model(x, fresh(layer)(before))))
