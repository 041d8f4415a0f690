"""Each layer scores, and learns, as Keras does; images are never square nor of one channel."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras.layers import (
    Activation,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    PReLU,
    UnitNormalization,
)
from oracle import agrees, agrees_and_learns, examples, learns, model, near, seeded

from keras2dml import Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE = (8, 6, 2)
CONVOLUTIONS = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": (2, 4), "padding": "same"},
    {"kernel_size": (3, 2), "strides": (2, 3), "padding": "same"},
    {"kernel_size": 4, "strides": 2, "padding": "valid"},
    {"kernel_size": 1, "strides": 2, "padding": "same"},
    {"kernel_size": 3, "padding": "same", "use_bias": False, "activation": "tanh"},
]
POOLINGS = [
    {"pool_size": 2},
    {"pool_size": (3, 2), "padding": "same"},
    {"pool_size": 3, "strides": 2},
    {"pool_size": 3, "strides": 1, "padding": "same"},
    {"pool_size": 2, "strides": 3},
    {"pool_size": (8, 6)},
    {"pool_size": (2, 1)},
]


def test_layers_score_as_keras(spark):
    convolved = {f"Conv2D {how}": model(IMAGE, Conv2D(5, **how)) for how in CONVOLUTIONS}
    pooled = {f"MaxPooling2D {how}": model(IMAGE, MaxPooling2D(**how)) for how in POOLINGS}
    flat = {
        "flat image": model(IMAGE, Flatten()),
        "flat map": model(IMAGE, Conv2D(3, 3), Flatten(), Dense(4), Activation("softmax")),
        "one channel": model((6, 5, 1), Conv2D(1, 3)),
        "one channel, flat": model((6, 5, 1), Conv2D(2, 3), Flatten(), Dense(3)),
        "dropout": model(IMAGE, Conv2D(3, 2), Dropout(0.4), Flatten(), Dropout(0.2), Dense(3)),
    }
    dense = {
        activation: model((7,), Dense(5, activation=activation), Dense(3, use_bias=False))
        for activation in ("linear", "relu", "sigmoid", "tanh", "softmax")
    }
    agrees(spark, seeded(together({**convolved, **pooled, **flat, **dense})))


def test_convolutions_of_channels_first_score_as_keras(spark):
    """Keras cannot run them on every CPU: the same kernels on the image turned round."""
    first = together(
        {
            str(how): model((2, 8, 6), Conv2D(5, data_format="channels_first", **how))
            for how in CONVOLUTIONS
        }
    )
    last = seeded(together({str(how): model(IMAGE, Conv2D(5, **how)) for how in CONVOLUTIONS}))
    first.set_weights(last.get_weights())
    features = examples(last, 5)
    scored = Keras2DML(spark, first, display=0).outputs(features.transpose(0, 3, 1, 2))
    for found, output, how in zip(scored, last(features), CONVOLUTIONS, strict=True):
        near(found.transpose(0, 2, 3, 1), np.asarray(output), 1e-9, str(how))


def test_convolutions_learn_as_keras(spark):
    cases = {
        str(how): model(
            IMAGE,
            Conv2D(3, 3, padding="same", activation="tanh"),
            Conv2D(4, **how),
            Flatten(),
            Dense(3, activation="softmax"),
        )
        for how in CONVOLUTIONS
    }
    learns(spark, seeded(together(cases)))


def pooled(how: dict[str, object], width: int) -> keras.Model:
    image, sides = keras.Input((8, width, 2)), []
    for activation in ("relu", "relu6", "linear"):
        convolved = Conv2D(3, 3, padding="same", activation=activation)(image)
        sides.append(Flatten()(Activation("relu")(MaxPooling2D(**how)(convolved))))
    return keras.Model(image, Dense(3, activation="softmax")(Concatenate()(sides)))


@pytest.mark.parametrize("width", [6, 12, 13])
def test_poolings_learn_as_keras(spark, width):
    built = together({str(how): pooled(how, width) for how in POOLINGS[:5]})
    learns(spark, seeded(built), single=width == 6)


def beside_its_maximum(width: int) -> keras.Model:
    """A maximum that others take, too, stays before the pooling, where SystemDS would fuse it."""
    image = keras.Input((8, width, 2))
    largest = PReLU()(Conv2D(3, 3, padding="same")(image))
    both = Concatenate()([Flatten()(MaxPooling2D()(largest)), Flatten()(largest)])
    return keras.Model(image, Dense(3, activation="softmax")(both))


def test_pooling_after_a_maximum_learns_as_keras(spark):
    built = together({f"width {width}": beside_its_maximum(width) for width in (8, 14)})
    learns(spark, built, single=False)


def of_one_element(constraint: str) -> keras.Model:
    first = Dense(1, kernel_regularizer="l2", bias_regularizer="l2", kernel_constraint=constraint)
    last = Dense(2, activation="softmax", kernel_constraint=constraint)
    return model((1,), first, UnitNormalization(), last)


def test_what_has_one_element_learns_as_keras(spark):
    cases = {constraint: of_one_element(constraint) for constraint in ("max_norm", "unit_norm")}
    agrees_and_learns(spark, together(cases), single=False)
    clipped = model((1,), Dense(1, use_bias=False))
    learns(spark, clipped, loss="mse", optimizer=keras.optimizers.SGD(0.1, clipnorm=0.01))
