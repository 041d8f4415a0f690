"""Layers that put elements elsewhere, put blobs together, or take them apart."""

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
    """(N, C, H, W) as (N, C * H * W) in that order; Keras' Flatten takes another one."""

    def call(self, x: Any) -> Any:
        """The same numbers."""
        return ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))


@lowers(CaffeFlatten)
def flatten(layer: CaffeFlatten, x: Value) -> Value:
    """A new name for the same row."""
    return x.seen_as((x.size,), (x.size,))


@registered
class CaffeSlice(CaffeLayer):
    """The elements from `begin` to before `end` along an axis."""

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
    return picked(layer, x, places(x)[part])


@reads("Concat")
def concat(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """One after another along an axis."""
    about = layer.concat_param
    axis = about.concat_dim if about.HasField("concat_dim") else about.axis
    axis = axis_of(layer, axis, inputs[0])
    if len(inputs) == 1:
        return inputs[0]
    return keras.layers.Concatenate(axis=axis, name=network.reserve_name(layer))(list(inputs))


@reads("Slice")
def read_slice(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A part for each top: equal ones, or between the points."""
    about, x = layer.slice_param, inputs[0]
    axis = axis_of(layer, about.slice_dim if about.HasField("slice_dim") else about.axis, x)
    size, parts = x.shape[axis], len(layer.top)
    points = [*about.slice_point] or [size * place // parts for place in range(1, parts)]
    ends = [0, *points, size]
    equal = bool(about.slice_point) or size % parts == 0
    if not equal or len(ends) != parts + 1 or ends != sorted({*ends}):
        reason = (
            f"{named(layer)} has {parts} tops and slice_point {[*about.slice_point]} of {size}:"
            " give a rising point between each two of the tops, or none where they are equal."
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
    """Nothing."""
    return []


@reads("Flatten")
def read_flatten(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """Some axes as one, by default all of an example's."""
    about, x = layer.flatten_param, inputs[0]
    axis, end = axis_of(layer, about.axis, x), axis_of(layer, about.end_axis, x)
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
    """The same elements under other sizes: 0 keeps one, and -1 is what is left."""
    about, x = layer.reshape_param, inputs[0]
    shape = tuple(x.shape)
    rank = len(shape)
    begin = about.axis if about.axis >= 0 else rank + 1 + about.axis
    end = rank if about.num_axes == -1 else begin + about.num_axes
    sizes = [
        shape[begin + place] if size == 0 and begin + place < rank else size
        for place, size in enumerate(about.shape.dim)
    ]
    examples, *example = [*shape[:begin], *sizes, *shape[end:]]
    rest = math.prod(shape[1:])
    if -1 in example:
        example[example.index(-1)] = rest // -math.prod(example)
    if examples not in (None, -1) or math.prod(example) != rest:
        reason = (
            f"{named(layer)} reshapes {shape[1:]} to {[*about.shape.dim]}, by which examples would"
            " not stay what they are: begin with dim: 0, and give as many elements."
        )
        raise Refusal(reason)
    return keras.layers.Reshape(example, name=network.reserve_name(layer))(x)


@reads("Upsample")
def upsample(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """SystemML's: each element several times."""
    about, x = layer.upsample_param, image_of(layer, inputs[0])
    size = (about.size_h, about.size_w)
    return keras.layers.UpSampling2D(size, data_format=FIRST, name=network.reserve_name(layer))(x)


@reads("Padding")
def padding(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """SystemML's: zeros around."""
    about, x = layer.padding_param, image_of(layer, inputs[0])
    edges = ((about.top_pad, about.bottom_pad), (about.left_pad, about.right_pad))
    return keras.layers.ZeroPadding2D(edges, data_format=FIRST, name=network.reserve_name(layer))(x)
