"""Convolutions and poolings of sequences, dilated ones, and means score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from joining import together
from keras import layers
from oracle import agrees, learns, model, seeded

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


Case = tuple[tuple[int, ...], type[keras.Layer], dict[str, object]]


def alone(case: Case, *arguments: int) -> keras.Model:
    shape, layer, how = case
    return model(shape, layer(*arguments, **how))


def within(case: Case, activation: str, *arguments: int) -> keras.Model:
    shape, layer, how = case
    ends = layers.Flatten(), layers.Dense(3, activation="softmax")
    return model(shape, layers.Dense(4, activation=activation), layer(*arguments, **how), *ends)


def test_convolutions_score_and_learn_as_keras(spark):
    agrees(spark, seeded(together({str(case): alone(case, 3) for case in CONVOLUTIONS})))
    learns(spark, seeded(together({str(case): within(case, "tanh", 3) for case in CONVOLUTIONS})))


def test_poolings_score_and_learn_as_keras(spark):
    agrees(spark, together({str(case): alone(case) for case in POOLINGS}))
    learns(spark, seeded(together({str(case): within(case, "relu") for case in POOLINGS})))
