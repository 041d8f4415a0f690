"""Layers that add noise to their input in training, and return it unchanged at prediction.

Random numbers are SystemDS', by seed, not Keras'.
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
    """Adds a normally distributed number to each element."""
    return _disturbed(layer.name, x, "gaussian_noise", stddev=float(layer.stddev))


@lowers(keras.layers.GaussianDropout, honours="rate seed")
def gaussian_dropout(layer: Any, x: Value) -> Value:
    """Multiplies each element by a normally distributed number with mean 1."""
    stddev = math.sqrt(layer.rate / (1 - layer.rate))
    return _disturbed(layer.name, x, "gaussian_dropout", stddev=stddev)


@lowers(keras.layers.SpatialDropout1D, honours="rate seed")
def spatial_dropout_of_sequences(layer: Any, x: Value) -> Value:
    """Drops whole channels of a sequence."""
    return dropped(layer.name, x, layer.rate, (1, None))


@lowers(keras.layers.SpatialDropout2D, honours="rate data_format seed")
def spatial_dropout_of_images(layer: Any, x: Value) -> Value:
    """Drops whole channels of an image."""
    first = layer.data_format == "channels_first"
    return dropped(layer.name, x, layer.rate, (None, 1, 1) if first else (1, 1, None))


@lowers(StochasticDepth, honours="drop_path_rate")
def stochastic_depth(layer: Any, x: Value) -> Value:
    """Drops whole examples; from ConvNeXt."""
    return dropped(layer.name, x, layer.drop_path_rate, (1,) * len(x.shape))


@lowers(keras.layers.ActivityRegularization, honours="l1 l2")
def activity_regularization(layer: Any, x: Value) -> Value:
    """The input; the penalty comes from the layer's regularizer."""
    return x


def _disturbed(name: str, x: Value, function: str, stddev: float) -> Value:
    if stddev == 0:
        return x
    return call(name, IDENTITY, x, sizes={"stddev": stddev}, training=function)
