"""Convolutions of groups of channels, and of each channel alone, score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from joining import together
from keras.layers import (
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Flatten,
    SeparableConv1D,
    SeparableConv2D,
)
from oracle import agrees, agrees_and_learns, learns, model

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE, SEQUENCE = (8, 7, 4), (13, 4)
FIRST = {"data_format": "channels_first"}


def ends() -> tuple[keras.Layer, ...]:
    return Flatten(), Dense(3, activation="softmax")


MODELS = {
    "groups of images": lambda: model(
        IMAGE,
        Conv2D(6, (2, 3), groups=2, strides=2, padding="same", use_bias=False, activation="relu"),
        Conv2D(6, 2, groups=3, dilation_rate=(2, 1), activation="tanh"),
        *ends(),
    ),
    "groups of sequences": lambda: model(
        SEQUENCE,
        Conv1D(6, 3, groups=2, padding="causal", activation="tanh"),
        *ends(),
    ),
    "channels of images": lambda: model(
        IMAGE,
        DepthwiseConv2D(3, padding="same"),
        DepthwiseConv2D((2, 3), 2, padding="same", depth_multiplier=3, activation="tanh"),
        DepthwiseConv2D(2, dilation_rate=2, strides=2, padding="same", use_bias=False),
        *ends(),
    ),
    "one channel": lambda: model(
        (8, 7, 1), DepthwiseConv2D(3, depth_multiplier=2, activation="relu"), *ends()
    ),
    "channels of sequences": lambda: model(
        SEQUENCE,
        DepthwiseConv1D(3, strides=2, padding="same"),
        DepthwiseConv1D(2, dilation_rate=3, depth_multiplier=2, activation="relu"),
        *ends(),
    ),
    "separable, of images": lambda: model(
        IMAGE,
        SeparableConv2D(3, (3, 2), 2, padding="same", depth_multiplier=2, activation="tanh"),
        SeparableConv2D(5, 2, dilation_rate=2, use_bias=False),
        *ends(),
    ),
    "separable, of sequences": lambda: model(
        SEQUENCE,
        SeparableConv1D(3, 3, strides=2, padding="same", activation="relu"),
        SeparableConv1D(4, 2, dilation_rate=2),
        *ends(),
    ),
}


LONG = (
    "groups of sequences",
    "channels of images",
    "channels of sequences",
    "separable, of images",
)
"""Of what others show as well."""
APART = ("groups of images", "one channel")
"""The first, since TensorFlow compiles each of its steps."""


@pytest.mark.parametrize(
    "names",
    [MODELS.keys() - {*LONG, *APART}, pytest.param(LONG, marks=pytest.mark.long)],
    ids=["", "long"],
)
def test_groups_score_and_learn_as_keras(spark, names):
    built = together({name: MODELS[name]() for name in sorted(names)})
    agrees_and_learns(spark, built, single=names is LONG)


def test_groups_of_images_and_one_channel_score_and_learn_as_keras(spark):
    agrees_and_learns(spark, MODELS["groups of images"](), steps=2, single=False)
    agrees_and_learns(spark, MODELS["one channel"]())


@pytest.mark.parametrize("together", [pytest.param(1, marks=pytest.mark.long), 3])
def test_groups_of_many_channels_learn_as_keras_in_parts(spark, together, monkeypatch):
    monkeypatch.setattr("keras2dml.rules.convolution.CHANNELS_AT_ONCE", together * 2)
    learns(spark, model((4, 3, 12), Conv2D(12, 2, groups=6), *ends()))


def test_channels_first_score_as_keras(spark):
    layers = DepthwiseConv2D(3, depth_multiplier=2, **FIRST), SeparableConv2D(3, 2, **FIRST)
    images = model((4, 8, 7), *layers)
    sequences = model((4, 13), DepthwiseConv1D(3, **FIRST), SeparableConv1D(3, 2, **FIRST))
    agrees(spark, together({"images": images, "sequences": sequences}))
