"""Each layer scores, and learns, as Keras does; images are never square nor of one channel."""

from __future__ import annotations

import keras
import pytest
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
from oracle import agrees, learns, model, seeded

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


def named(arguments: object) -> str:
    return str(arguments).replace("'", "")


@pytest.mark.parametrize("arguments", CONVOLUTIONS, ids=named)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_convolution_scores_as_keras(spark, arguments, data_format):
    layer = Conv2D(5, data_format=data_format, **arguments)
    if data_format == "channels_last":
        agrees(spark, model(IMAGE, layer))
        return
    # Keras cannot run channels_first on every CPU: the same kernel on the image turned round.
    first, last = model((2, 8, 6), layer), model(IMAGE, Conv2D(5, **arguments))
    assert_same_but_turned(spark, first, last)


def assert_same_but_turned(spark, first: keras.Model, last: keras.Model) -> None:
    import numpy as np
    from oracle import examples

    from keras2dml.check import check
    from keras2dml.estimators.scorer import CompiledModel, Scorer
    from keras2dml.reader import read

    features = examples(last, 5)
    graph = check(read(first))
    weights = {
        one.name: one.weight.to_dml(last.get_weights()[one.position]) for one in graph.parameters
    }
    scored = Scorer(spark, CompiledModel.of(graph, weights)).predict_proba(
        features.transpose(0, 3, 1, 2)
    )
    wanted = last.predict(features, verbose=0)
    np.testing.assert_allclose(scored.transpose(0, 2, 3, 1), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("arguments", POOLINGS, ids=named)
def test_pooling_scores_as_keras(spark, arguments):
    agrees(spark, model(IMAGE, MaxPooling2D(**arguments)))


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh", "softmax"])
def test_dense_scores_as_keras(spark, activation):
    agrees(spark, model((7,), Dense(5, activation=activation), Dense(3, use_bias=False)))


def test_flatten_scores_as_keras(spark):
    agrees(spark, model(IMAGE, Conv2D(3, 3), Flatten(), Dense(4), Activation("softmax")))
    agrees(spark, model(IMAGE, Flatten()))


def test_images_of_one_channel_score_as_keras(spark):
    agrees(spark, model((6, 5, 1), Conv2D(1, 3)))
    agrees(spark, model((6, 5, 1), Conv2D(2, 3), Flatten(), Dense(3)))


def test_dropout_does_nothing_at_prediction(spark):
    agrees(spark, model((4, 3, 2), Conv2D(3, 2), Dropout(0.4), Flatten(), Dropout(0.2), Dense(3)))


@pytest.mark.parametrize("arguments", CONVOLUTIONS, ids=named)
def test_convolution_learns_as_keras(spark, arguments):
    first = Conv2D(3, 3, padding="same", activation="tanh")
    last = Dense(3, activation="softmax")
    learns(spark, model(IMAGE, first, Conv2D(4, **arguments), Flatten(), last))


@pytest.mark.parametrize("width", [6, 12, 13])
@pytest.mark.parametrize("arguments", POOLINGS[:5], ids=named)
def test_pooling_learns_as_keras(spark, arguments, width):
    image, sides = keras.Input((8, width, 2)), []
    for activation in ("relu", "relu6", "linear"):
        pooled = MaxPooling2D(**arguments)(
            Conv2D(3, 3, padding="same", activation=activation)(image)
        )
        sides.append(Flatten()(Activation("relu")(pooled)))
    last = Dense(3, activation="softmax")(Concatenate()(sides))
    learns(spark, seeded(keras.Model(image, last)))


@pytest.mark.parametrize("width", [8, 14])
def test_pooling_after_a_maximum_learns_as_keras(spark, width):
    """A maximum that others take, too, stays before the pooling, where SystemDS would fuse it."""
    image = keras.Input((8, width, 2))
    made = PReLU()(Conv2D(3, 3, padding="same")(image))
    both = Concatenate()([Flatten()(MaxPooling2D()(made)), Flatten()(made)])
    learns(spark, keras.Model(image, Dense(3, activation="softmax")(both)))


@pytest.mark.parametrize("constraint", ["max_norm", "unit_norm"])
def test_what_has_one_element_learns_as_keras(spark, constraint):
    first = Dense(1, kernel_regularizer="l2", bias_regularizer="l2", kernel_constraint=constraint)
    last = Dense(2, activation="softmax", kernel_constraint=constraint)
    built = model((1,), first, UnitNormalization(), last)
    agrees(spark, built)
    learns(spark, built)
    clipped = model((1,), Dense(1, use_bias=False))
    learns(spark, clipped, loss="mse", optimizer=keras.optimizers.SGD(0.1, clipnorm=0.01))
