"""Layers that disturb their input in training, and hand it on at prediction.

What is drawn is SystemDS', by seed, and not Keras' random sequence.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from keras2dml.graph import Value
from keras2dml.rules import call, lowers
from keras2dml.rules.layouts import arranged
from keras2dml.rules.windows import image


@lowers(keras.layers.GaussianNoise, honours="stddev seed")
def gaussian_noise(layer: Any, x: Value) -> Value:
    """A number of a normal distribution added to each element."""
    return _disturbed(layer, x, "gaussian_noise", stddev=float(layer.stddev))


@lowers(keras.layers.GaussianDropout, honours="rate seed")
def gaussian_dropout(layer: Any, x: Value) -> Value:
    """Each element times a number of a normal distribution around 1."""
    stddev = math.sqrt(layer.rate / (1 - layer.rate))
    return _disturbed(layer, x, "gaussian_dropout", stddev=stddev)


@lowers(keras.layers.SpatialDropout1D, honours="rate seed")
def spatial_dropout_of_sequences(layer: Any, x: Value) -> Value:
    """Whole channels of a sequence left out."""
    moved = arranged(layer, x, Value.of(x.shape, (1, 0)))
    return _disturbed(layer, moved, "spatial_dropout", rate=float(layer.rate), C=moved.stored[0])


@lowers(keras.layers.SpatialDropout2D, honours="rate data_format seed")
def spatial_dropout_of_images(layer: Any, x: Value) -> Value:
    """Whole channels of an image left out."""
    moved = image(layer, x)
    return _disturbed(layer, moved, "spatial_dropout", rate=float(layer.rate), C=moved.stored[0])


@lowers(keras.layers.ActivityRegularization, honours="l1 l2")
def activity_regularization(layer: Any, x: Value) -> Value:
    """What went in; the penalty comes of the layer's regularizer."""
    return x


def _disturbed(layer: Any, x: Value, function: str, **sizes: float) -> Value:
    strength = next(iter(sizes.values()))
    if strength == 0:
        return x
    return call(layer, "identity", x, sizes=sizes, training=function)
