"""Layers that merge values or put elements elsewhere score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from joining import together
from keras import layers
from oracle import agrees_and_learns, fresh, seeded

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


def ended(
    x: keras.KerasTensor, value: keras.KerasTensor, *others: keras.KerasTensor
) -> keras.Model:
    classes = layers.Dense(3, activation="softmax")(layers.Flatten()(value))
    return keras.Model(x, [classes, *others])


def branches(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    convolved = [layers.Conv2D(4, 2, padding="same")(x) for _ in range(2)]
    return [*convolved, layers.Dense(4, activation="tanh")(x)]


def merged(layer: type[keras.Layer]) -> keras.Model:
    x = keras.Input(IMAGE)
    return ended(x, layer()(branches(x)[: 2 if layer is layers.Subtract else 3]))


def gated(layer: type[keras.Layer], *, gate_first: bool) -> keras.Model:
    """An axis of one is repeated."""
    x = keras.Input(IMAGE)
    image = layers.Conv2D(4, 2)(x)
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, activation="sigmoid")(layers.Flatten()(image)))
    pair = [gate, image] if gate_first else [image, gate]
    return ended(x, layers.Conv2D(2, 2)(layer()(pair)))


def concatenated(axis: int) -> keras.Model:
    x = keras.Input(IMAGE)
    return ended(x, layers.Conv2D(2, 2)(layers.Concatenate(axis=axis)(branches(x))))


def operated() -> keras.Model:
    x = keras.Input(IMAGE)
    one, two, _ = branches(x)
    return ended(x, 2.0 - (one + two) * 0.25 - (two * one - 0.5) + 1.0)


def test_merged_values_score_and_learn_as_keras(spark):
    cases = {layer.__name__: merged(layer) for layer in MERGING}
    agrees_and_learns(spark, seeded(together({**cases, "operators": operated()})))


def test_repeated_axes_and_concatenations_score_and_learn_as_keras(spark):
    cases = {f"axis {axis}": concatenated(axis) for axis in (-1, 1, 2, 3)}
    for layer in (layers.Multiply, layers.Add):
        for gate_first in (False, True):
            name = f"{layer.__name__} {gate_first}"
            cases[name] = gated(layer, gate_first=gate_first)
    agrees_and_learns(spark, seeded(together(cases)), single=False)


def moved(shape: tuple[int, ...], layer: keras.Layer) -> keras.Model:
    x = keras.Input(shape)
    value = layer(layers.Dense(shape[-1], activation="tanh")(x))
    return ended(x, layers.Dense(3)(value), value)


def test_moved_elements_score_and_learn_as_keras(spark):
    cases = {
        f"{n} {layer.name}": moved(shape, fresh(layer)) for n, (shape, layer) in enumerate(MOVING)
    }
    losses = ["sparse_categorical_crossentropy", "mse"] * len(cases)
    agrees_and_learns(spark, seeded(together(cases)), loss=losses, single=False)
