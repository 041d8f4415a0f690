"""Convolutions and poolings of sequences, dilated ones, and means score and learn as Keras does."""

from __future__ import annotations

import pytest
from keras import layers
from oracle import agrees, learns, model

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE, SEQUENCE = (8, 7, 2), (9, 4)
CONVOLUTIONS = [
    (IMAGE, layers.Conv2D, {"kernel_size": 3, "dilation_rate": 2}),
    (IMAGE, layers.Conv2D, {"kernel_size": 2, "dilation_rate": (3, 1), "padding": "same"}),
    (IMAGE, layers.Conv2D, {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}),
    (SEQUENCE, layers.Conv1D, {"kernel_size": 3}),
    (SEQUENCE, layers.Conv1D, {"kernel_size": 4, "strides": 2, "padding": "same"}),
    (SEQUENCE, layers.Conv1D, {"kernel_size": 2, "padding": "causal", "dilation_rate": 3}),
    (SEQUENCE, layers.Conv1D, {"kernel_size": 3, "use_bias": False, "activation": "elu"}),
]
POOLINGS = [
    *((IMAGE, layers.AveragePooling2D, arguments) for arguments in (
        {"pool_size": 2},
        {"pool_size": (3, 2), "padding": "same"},
        {"pool_size": 3, "strides": 2},
        {"pool_size": 3, "strides": 1, "padding": "same"},
        {"pool_size": 2, "strides": 3},
    )),
    (SEQUENCE, layers.AveragePooling1D, {"pool_size": 3, "strides": 2, "padding": "same"}),
    (SEQUENCE, layers.AveragePooling1D, {"pool_size": 2}),
    (SEQUENCE, layers.MaxPooling1D, {"pool_size": 3, "strides": 2, "padding": "same"}),
    (SEQUENCE, layers.MaxPooling1D, {}),
    (IMAGE, layers.GlobalAveragePooling2D, {}),
    (IMAGE, layers.GlobalAveragePooling2D, {"data_format": "channels_first"}),
    (IMAGE, layers.GlobalMaxPooling2D, {"keepdims": True}),
    (SEQUENCE, layers.GlobalAveragePooling1D, {"keepdims": True}),
    (SEQUENCE, layers.GlobalMaxPooling1D, {}),
]  # fmt: skip


def named(case: object) -> str | None:
    return case.__name__ if isinstance(case, type) else str(case).replace("'", "")


@pytest.mark.parametrize(("shape", "layer", "arguments"), CONVOLUTIONS, ids=named)
def test_convolution_scores_and_learns_as_keras(spark, shape, layer, arguments):
    ends = layers.Flatten(), layers.Dense(3, activation="softmax")
    agrees(spark, model(shape, layer(3, **arguments)))
    learns(spark, model(shape, layers.Dense(4, activation="tanh"), layer(3, **arguments), *ends))


@pytest.mark.parametrize(("shape", "layer", "arguments"), POOLINGS, ids=named)
def test_pooling_scores_and_learns_as_keras(spark, shape, layer, arguments):
    ends = layers.Flatten(), layers.Dense(3, activation="softmax")
    agrees(spark, model(shape, layer(**arguments)))
    learns(spark, model(shape, layers.Dense(4, activation="relu"), layer(**arguments), *ends))
