"""Layers that reshape, join, slice or pad blobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras2dml.caffe.layers.caffe_layer import CaffeLayer, registered
from keras2dml.caffe.network import FIRST, Network, axis_of, image_of, reads
from keras2dml.caffe.phases import named
from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowers
from keras2dml.rules.layouts import picked, places


@registered
class CaffeFlatten(CaffeLayer):
    """(N, C, H, W) as (N, C * H * W) in that order; Keras' Flatten uses another order."""

    def call(self, x: Any) -> Any:
        """The flattened blob."""
        return ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))


@lowers(CaffeFlatten)
def flatten(layer: CaffeFlatten, x: Value) -> Value:
    """The same row with another shape."""
    return x.seen_as((x.size,), (x.size,))


@registered
class CaffeSlice(CaffeLayer):
    """The elements from `begin` up to `end`, exclusive, along an axis."""

    config_names = ("axis", "begin", "end")

    def __init__(self, axis: int, begin: int, end: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.begin, self.end = axis, begin, end

    def call(self, x: Any) -> Any:
        """A part of the blob."""
        return x[(slice(None),) * self.axis + (slice(self.begin, self.end),)]


@lowers(CaffeSlice, honours="axis begin end")
def sliced(layer: CaffeSlice, x: Value) -> Value:
    """Some of the columns."""
    part = (slice(None),) * (layer.axis - 1) + (slice(layer.begin, layer.end),)
    return picked(layer.name, x, places(x)[part])


@reads("Concat")
def concat(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' Concatenate along an axis."""
    param = layer.concat_param
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    axis = axis_of(layer, axis, inputs[0])
    if len(inputs) == 1:
        return inputs[0]
    return keras.layers.Concatenate(axis=axis, name=network.reserve_name(layer))(list(inputs))


@reads("Slice")
def read_slice(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A part for each top: equal parts, or split at the points."""
    param, x = layer.slice_param, inputs[0]
    axis = axis_of(layer, param.slice_dim if param.HasField("slice_dim") else param.axis, x)
    size, parts = x.shape[axis], len(layer.top)
    points = [*param.slice_point] or [size * place // parts for place in range(1, parts)]
    ends = [0, *points, size]
    equal = bool(param.slice_point) or size % parts == 0
    if not equal or len(ends) != parts + 1 or ends != sorted({*ends}):
        reason = (
            f"{named(layer)} has {parts} tops and slice_point {[*param.slice_point]} for size"
            f" {size}: give one increasing point between each two tops, or none for equal parts."
        )
        raise Refusal(reason)
    return [
        CaffeSlice(axis, begin, end, name=network.reserve_name(layer, f"_{top}"))(x)
        for top, begin, end in zip(layer.top, ends[:-1], ends[1:], strict=True)
    ]


@reads("Split")
def split(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The same blob under several names."""
    return [inputs[0]] * len(layer.top)


@reads("Silence", "HDF5Output")
def silence(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Nothing to compute."""
    return []


@reads("Flatten")
def read_flatten(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Merges some axes into one, by default all axes of an example."""
    param, x = layer.flatten_param, inputs[0]
    axis, end = axis_of(layer, param.axis, x), axis_of(layer, param.end_axis, x)
    sizes = (*x.shape[1:axis], math.prod(x.shape[axis : end + 1]), *x.shape[end + 1 :])
    flat = (
        CaffeFlatten(name=network.reserve_name(layer))
        if len(sizes) == 1
        else keras.layers.Reshape(sizes, name=network.reserve_name(layer))
    )(x)
    if len(sizes) == 1 and any(x is view for view in network.views):
        network.views.append(flat)
    return flat


@reads("Reshape")
def reshape(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Keras' Reshape: a size of 0 keeps the input's, and -1 is inferred."""
    param, x = layer.reshape_param, inputs[0]
    shape = tuple(x.shape)
    rank = len(shape)
    begin = param.axis if param.axis >= 0 else rank + 1 + param.axis
    end = rank if param.num_axes == -1 else begin + param.num_axes
    sizes = [
        shape[begin + place] if size == 0 and begin + place < rank else size
        for place, size in enumerate(param.shape.dim)
    ]
    examples, *example = [*shape[:begin], *sizes, *shape[end:]]
    rest = math.prod(shape[1:])
    if -1 in example:
        example[example.index(-1)] = rest // -math.prod(example)
    if examples not in (None, -1) or math.prod(example) != rest:
        reason = (
            f"{named(layer)} reshapes {shape[1:]} to {[*param.shape.dim]}, which does not keep"
            " examples apart: begin with dim: 0, and keep the number of elements."
        )
        raise Refusal(reason)
    return keras.layers.Reshape(example, name=network.reserve_name(layer))(x)


@reads("Upsample")
def upsample(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """SystemML's Upsample: repeats each element."""
    param, x = layer.upsample_param, image_of(layer, inputs[0])
    size = (param.size_h, param.size_w)
    return keras.layers.UpSampling2D(size, data_format=FIRST, name=network.reserve_name(layer))(x)


@reads("Padding")
def padding(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """SystemML's Padding: adds zeros on all sides."""
    param, x = layer.padding_param, image_of(layer, inputs[0])
    edges = ((param.top_pad, param.bottom_pad), (param.left_pad, param.right_pad))
    return keras.layers.ZeroPadding2D(edges, data_format=FIRST, name=network.reserve_name(layer))(x)
