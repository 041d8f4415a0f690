"""Layers that disturb their input in training, and hand it on at prediction.

What is drawn is SystemDS', by seed, and not Keras' random sequence.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras.src.applications.convnext import StochasticDepth

from keras2dml.graph import IDENTITY, Value
from keras2dml.rules import call, lowers
from keras2dml.rules.core import dropped


@lowers(keras.layers.GaussianNoise, honours="stddev seed")
def gaussian_noise(layer: Any, x: Value) -> Value:
    """A number of a normal distribution added to each element."""
    return _disturbed(layer.name, x, "gaussian_noise", stddev=float(layer.stddev))


@lowers(keras.layers.GaussianDropout, honours="rate seed")
def gaussian_dropout(layer: Any, x: Value) -> Value:
    """Each element times a number of a normal distribution around 1."""
    stddev = math.sqrt(layer.rate / (1 - layer.rate))
    return _disturbed(layer.name, x, "gaussian_dropout", stddev=stddev)


@lowers(keras.layers.SpatialDropout1D, honours="rate seed")
def spatial_dropout_of_sequences(layer: Any, x: Value) -> Value:
    """Whole channels of a sequence left out."""
    return dropped(layer.name, x, layer.rate, (1, None))


@lowers(keras.layers.SpatialDropout2D, honours="rate data_format seed")
def spatial_dropout_of_images(layer: Any, x: Value) -> Value:
    """Whole channels of an image left out."""
    first = layer.data_format == "channels_first"
    return dropped(layer.name, x, layer.rate, (None, 1, 1) if first else (1, 1, None))


@lowers(StochasticDepth, honours="drop_path_rate")
def stochastic_depth(layer: Any, x: Value) -> Value:
    """Whole examples left out: ConvNeXt's."""
    return dropped(layer.name, x, layer.drop_path_rate, (1,) * len(x.shape))


@lowers(keras.layers.ActivityRegularization, honours="l1 l2")
def activity_regularization(layer: Any, x: Value) -> Value:
    """What went in; the penalty comes of the layer's regularizer."""
    return x


def _disturbed(name: str, x: Value, function: str, stddev: float) -> Value:
    if stddev == 0:
        return x
    return call(name, IDENTITY, x, sizes={"stddev": stddev}, training=function)
