"""Layers that scale features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value
from keras2dml.rules import call, lowers
from keras2dml.rules.merging import rescaled


@lowers(keras.layers.Rescaling, honours="scale offset")
def rescaling(layer: Any, x: Value) -> Value:
    """All elements times `scale`, plus `offset`: numbers, or a number for each channel."""
    scale, offset = _cast(layer.scale), _cast(layer.offset)
    if scale.ndim == offset.ndim == 0:
        return rescaled(layer.name, x, float(scale), float(offset))
    if scale.ndim and keras.config.image_data_format() == "channels_first":
        scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
    return affine(layer.name, x, np.zeros(()), scale, offset)


@lowers(keras.layers.Normalization, honours="axis mean variance invert")
def normalization(layer: Any, x: Value) -> Value:
    """Normalizes by a given or adapted mean and variance; `invert` undoes it."""
    mean, variance = (
        np.asarray(statistic, dtype=np.float64)[0] for statistic in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    nothing = np.zeros(())
    if layer.invert:
        return affine(layer.name, x, nothing, deviation, mean)
    return affine(layer.name, x, -mean, 1 / deviation, nothing)


def _cast(numbers: Any) -> np.ndarray:
    """Numbers as Keras casts them: other than arrays, they are rounded to float32."""
    array = numbers if isinstance(numbers, np.ndarray) else np.asarray(numbers, dtype=np.float32)
    return array.astype(np.float64)


def affine(name: str, x: Value, before: np.ndarray, scale: np.ndarray, after: np.ndarray) -> Value:
    """`(x + before) * scale + after`, of arrays that broadcast to an example."""
    arguments = ("before", "scale", "after")
    rows = [np.broadcast_to(array, x.shape).ravel()[x.order] for array in (before, scale, after)]
    constants = tuple(
        Constant(argument, row.reshape(1, -1))
        for argument, row in zip(arguments, rows, strict=True)
    )
    first, factor, last = (row.astype(np.float32).reshape(1, *x.stored) for row in rows)
    onnx = (
        Node("Add", ("X",), {}, (first,), ("shifted",)),
        Node("Mul", ("shifted",), {}, (factor,), ("scaled",)),
        Node("Add", ("scaled",), {}, (last,)),
    )
    return call(name, "affine", x, constants=constants, onnx=onnx)
