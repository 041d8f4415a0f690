"""Layers that move, repeat or drop elements."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowers, named
from keras2dml.rules.layouts import permuted, picked, places
from keras2dml.rules.resizing import up_sampled
from keras2dml.rules.windows import image


@lowers(keras.layers.Identity)
def identity(layer: keras.layers.Identity, *inputs: Value) -> tuple[Value, ...]:
    """The input."""
    return inputs


@lowers(keras.layers.Reshape, honours="target_shape")
def reshape(layer: keras.layers.Reshape, x: Value) -> Value:
    """Keras' flattened example with another shape; no cell moves."""
    shape = tuple(layer.target_shape)
    rest = abs(int(np.prod(shape)))
    shape = tuple(x.size // rest if size == -1 else size for size in shape)
    if np.prod(shape) != x.size:  # in a model whose input had open sizes
        message = (
            f"{named(layer)} takes {x.shape}, whose {x.size} elements do not fit"
            f" {tuple(layer.target_shape)}: give an input_shape for which they do."
        )
        raise Refusal(message)
    return x.seen_as(shape, x.stored)


@lowers(keras.layers.Permute, honours="dims")
def permute(layer: keras.layers.Permute, x: Value) -> Value:
    """The axes in another order; no cell moves."""
    return permuted(x, tuple(axis - 1 for axis in layer.dims))


@lowers(keras.layers.RepeatVector, honours="n")
def repeat_vector(layer: keras.layers.RepeatVector, x: Value) -> Value:
    """The vector repeated `n` times, as rows."""
    return picked(layer.name, x, np.tile(places(x), (layer.n, 1)))


@lowers(
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    honours="padding data_format",
)
def zero_padding(layer: Any, x: Value) -> Value:
    """Zeros before and after the spatial axes."""
    return picked(
        layer.name, x, np.pad(places(x), _sides(layer, layer.padding), constant_values=-1)
    )


@lowers(
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    honours="cropping data_format",
)
def cropping(layer: Any, x: Value) -> Value:
    """The spatial axes without the cropped parts."""
    parts = tuple(
        slice(before, size - after)
        for (before, after), size in zip(_sides(layer, layer.cropping), x.shape, strict=True)
    )
    return picked(layer.name, x, places(x)[parts])


@lowers(
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    honours="size data_format interpolation",
)
def up_sampling(layer: Any, x: Value) -> Value:
    """The spatial axes with repeated or interpolated elements."""
    sizes = (layer.size,) if isinstance(layer.size, int) else tuple(layer.size)
    if getattr(layer, "interpolation", "nearest") != "nearest":
        return up_sampled(layer, image(layer, x), sizes)
    sources = places(x)
    for axis, size in zip(_spatial(layer), sizes, strict=True):
        sources = np.repeat(sources, size, axis)
    return picked(layer.name, x, sources)


def _spatial(layer: Any) -> tuple[int, ...]:
    """The spatial axes of an example."""
    count = int(type(layer).__name__[-2])
    first = getattr(layer, "data_format", None) == "channels_first"
    return tuple(axis + first for axis in range(count))


def _sides(layer: Any, amounts: Any) -> list[tuple[int, int]]:
    """The sizes added or removed before and after each axis of an example."""
    pairs = [amounts] if isinstance(amounts[0], int) else list(amounts)
    around = [(0, 0)] * (len(pairs) + 1)
    for axis, pair in zip(_spatial(layer), pairs, strict=True):
        around[axis] = tuple(pair)
    return around
