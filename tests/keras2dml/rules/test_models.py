"""Models of more than one line of layers: branches, several ends, layers and models used again."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras.layers import Activation, Add, BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D
from oracle import agrees_and_learns, learns, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]


def residual() -> keras.Model:
    x = keras.Input((6, 5, 3))
    one = Conv2D(4, 3, padding="same", activation="relu")(x)
    two = BatchNormalization()(Conv2D(4, 3, padding="same")(one))
    ends = Flatten()(Activation("relu")(Add()([one, two])))
    return seeded(keras.Model(x, Dense(3, activation="softmax")(ends)))


def shared() -> keras.Model:
    x, y = keras.Input((5,)), keras.Input((5,))
    dense = Dense(4, activation="tanh")
    merged = Add()([dense(x), dense(y), dense(x)])
    return seeded(keras.Model([x, y], Dense(3, activation="softmax")(merged)))


def shared_in_two_orders() -> keras.Model:
    x, y = keras.Input((4, 3, 2)), keras.Input((24,))
    dense = Dense(4, activation="tanh")
    merged = Add()([dense(Flatten()(x)), dense(y)])
    return seeded(keras.Model([x, y], Dense(3, activation="softmax")(merged)))


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 5, 3)), Conv2D(3, 2, padding="same"), MaxPooling2D()])
    x = keras.Input((6, 5, 3))
    head = keras.Input((3, 2, 3))
    classes = keras.Model(head, Dense(3, activation="softmax")(Flatten()(head)))
    return seeded(keras.Model(x, classes(inner(x))))


def two_ends() -> keras.Model:
    x = keras.Input((7,))
    stem = Dense(5, activation="relu")(x)
    ends = [Dense(3, activation="softmax", name="a")(stem), Dense(4, name="b")(stem)]
    return seeded(keras.Model(x, [ends[0], Activation("softmax", name="c")(ends[1])]))


def by_position() -> keras.Model:
    x = keras.Input((4, 3, 2))
    steps = Conv2D(5, 2, padding="same", activation="tanh")(x)
    return seeded(keras.Model(x, Dense(3, activation="softmax")(steps)))


MODELS = [residual, shared, shared_in_two_orders, nested, two_ends, by_position]


@pytest.mark.parametrize("made", MODELS)
def test_model_scores_and_learns_as_keras(spark, made):
    agrees_and_learns(spark, made())


def normalized(shape: tuple[int, ...], arguments: dict[str, object]) -> keras.Model:
    x = keras.Input(shape)
    normal = BatchNormalization(**arguments)(Dense(4)(x))
    return keras.Model(x, Dense(3, activation="softmax")(Flatten()(normal)))


def test_batch_normalizations_learn_as_keras(spark):
    cases = {
        f"{shape} {arguments}": normalized(shape, arguments)
        for shape in [(6, 5, 3), (7,), (4, 3)]
        for arguments in ({}, {"center": False}, {"scale": False, "momentum": 0.7})
    }
    agrees_and_learns(spark, seeded(together(cases)))


def test_frozen_batch_normalization_keeps_its_statistics(spark):
    x = keras.Input((6, 5, 3))
    normal = BatchNormalization(name="frozen")(Conv2D(4, 3)(x))
    built = seeded(keras.Model(x, Dense(3, activation="softmax")(Flatten()(normal))))
    built.get_layer("frozen").trainable = False
    before = [np.array(weight) for weight in built.get_layer("frozen").get_weights()]
    learns(spark, built)
    for weight, was in zip(built.get_layer("frozen").get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
