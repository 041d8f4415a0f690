"""Convolution and pooling of volumes, in terms of those of images.

A volume is stored as D,C,H,W: the slices of its depth are images one after another. A window over
the depth is a slab of slices, which is an image with more channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras2dml.graph import FOLD, UNFOLD, Node, Scalar, Shape, Value, Weight
from keras2dml.rules import call, lowers
from keras2dml.rules.activations import activated
from keras2dml.rules.biases import check_channels
from keras2dml.rules.convolution import bias_of, biased, convolved
from keras2dml.rules.core import dropped
from keras2dml.rules.layouts import arranged, mapped, permuted
from keras2dml.rules.pooling import LOWEST, averaged
from keras2dml.rules.transposed import spread_out
from keras2dml.rules.windows import Window, padded, same_padding, sized


@dataclass(frozen=True)
class Depth:
    """Windows of `span` slices over `size` slices, with padding before and after."""

    size: int
    span: int
    stride: int = 1
    dilation: int = 1
    front: int = 0
    back: int = 0

    @classmethod
    def of(cls, layer: Any, size: int, span: int, dilation: int = 1) -> Depth:
        """The windows over the depth for a layer with `strides` and `padding`."""
        stride = _triple(layer.strides)[0]
        sides = (0, 0)
        if layer.padding == "same":
            sides = same_padding(size, (span - 1) * dilation + 1, stride)
        return cls(size, span, stride, dilation, *sides)

    @property
    def padded(self) -> int:
        """The number of slices with padding."""
        return self.front + self.size + self.back

    @property
    def count(self) -> int:
        """The number of windows."""
        return (self.padded - (self.span - 1) * self.dilation - 1) // self.stride + 1

    @property
    def slices(self) -> np.ndarray:
        """The slices of each window, (count, span), numbered from the first after the padding."""
        first = np.arange(self.count)[:, None] * self.stride
        return first + np.arange(self.span) * self.dilation - self.front

    @property
    def sizes(self) -> dict[str, Scalar]:
        """The windows as arguments of the DML library."""
        return {
            "depth": self.size,
            "front": self.front,
            "back": self.back,
            "count": self.count,
            "span": self.span,
            "stride": self.stride,
            "dilation": self.dilation,
        }


@lowers(
    keras.layers.Conv3D,
    honours="filters kernel_size strides padding dilation_rate groups data_format activation"
    " use_bias",
)
def convolution(layer: Any, x: Value) -> Value:
    """A convolution with Keras' kernel (D, H, W, C / groups, F), in DML that of images with D * C
    channels; with groups, the slices of a channel are adjacent.
    """
    x = volume(layer, x)
    size, channels, height, width = x.stored
    dilation = _triple(layer.dilation_rate)
    depth = Depth.of(layer, size, layer.kernel_size[0], dilation[0])
    slab = slabs(layer.name, x, depth)
    axes = (4, 0, 3, 1, 2)
    if layer.groups > 1:
        split = slab.seen_as((depth.span, channels, height, width), slab.stored)
        turned = permuted(split, (1, 0, 2, 3))
        slab = _as_image(arranged(layer.name, turned, Value.of(turned.shape)))
        axes = (4, 3, 0, 1, 2)
    kernel = layer.kernel
    matrix = (layer.filters, math.prod(kernel.shape) // layer.filters)
    window = _of_slices(layer, slab, tuple(layer.kernel_size[1:]), dilation[1:])
    weight = Weight("W", kernel, matrix, axes)
    out = convolved(layer.name, slab, window, weight, bias_of(layer), layer.groups)
    merged = _of_slabs(layer, out, depth.count)
    check_channels(layer, merged)
    return activated(layer, merged, layer.activation)


@lowers(
    keras.layers.Conv3DTranspose,
    honours="filters kernel_size strides padding output_padding data_format activation use_bias",
)
def transposed_convolution(layer: Any, x: Value) -> Value:
    """Each slice produces a slab; overlapping slabs are added up."""
    x = volume(layer, x)
    channels, kernel = x.stored[1], layer.kernel
    shape = tuple(layer.compute_output_shape((1, *x.shape))[1:])
    size, _, height, width = (shape[axis] for axis in _axes(layer))
    depth = Depth.of(layer, size, layer.kernel_size[0])
    filters = depth.span * layer.filters
    slices = folded_slices(layer.name, x)
    image = Value.of((filters, height, width))
    window = _of_slices(layer, image, tuple(layer.kernel_size[1:]))
    matrix = (channels, math.prod(kernel.shape) // channels)
    weight = Weight("W", kernel, matrix, (4, 0, 3, 1, 2))
    slab = spread_out(layer.name, slices, window, weight, filters)
    out = joined_slabs(layer.name, slab, depth)
    out = biased(layer.name, folded_slices(layer.name, out), bias_of(layer))
    merged = _of_slabs(layer, out, size)
    check_channels(layer, merged)
    return activated(layer, merged, layer.activation)


@lowers(keras.layers.MaxPooling3D, honours="pool_size strides padding data_format")
def max_pooling(layer: Any, x: Value) -> Value:
    """The maximum of each window: first within slices, then across slices."""
    x = volume(layer, x)
    size, channels, _, _ = x.stored
    pool = _triple(layer.pool_size)
    images = _as_image(x)
    window = _of_slices(layer, images, pool[1:])
    if any(window.pads):
        window, images = padded(layer.name, window, images, fill=LOWEST)
    images = call(
        layer.name,
        "max_pooling2d_shared",
        images,
        to=sized(window.data_format, window.channels, window.output, images),
        sizes=window.sizes,
        onnx=Node("MaxPool", (), window.attributes(3)),
    )
    out = _deep(layer, images, (size, channels, *window.output))
    depth = Depth.of(layer, size, pool[0])
    slab = slabs(layer.name, out, depth, fill=LOWEST)
    block = (channels, *window.output)
    onnx = (
        Node("Reshape", ("X",), {}, (np.array([0, depth.span, *block]),), ("slices",)),
        Node("ReduceMax", ("slices",), {"axes": (1,), "keepdims": 0}),
    )
    to = Value.of(block, rows=slab.rows)
    largest = call(layer.name, "block_maxima", slab, to=to, sizes={"span": depth.span}, onnx=onnx)
    return _of_slabs(layer, largest, depth.count)


@lowers(keras.layers.AveragePooling3D, honours="pool_size strides padding data_format")
def average_pooling(layer: Any, x: Value) -> Value:
    """The mean of each window without padding: first within slices, then across slices."""
    x = volume(layer, x)
    size, channels, _, _ = x.stored
    pool = _triple(layer.pool_size)
    images = _as_image(x)
    window = _of_slices(layer, images, pool[1:])
    top, left, bottom, right = window.pads
    inside = np.pad(np.ones((window.height, window.width)), ((top, bottom), (left, right)))
    images = averaged(layer.name, window, images, inside)
    out = _deep(layer, images, (size, channels, *window.output))
    depth = Depth.of(layer, size, pool[0])
    windows = [slices[(slices >= 0) & (slices < size)] for slices in depth.slices]
    shares = np.zeros((size, depth.count))
    for place, slices in enumerate(windows):
        shares[slices, place] = 1 / slices.size
    return _mixed(layer, out, shares)


@lowers(keras.layers.SpatialDropout3D, honours="rate data_format seed")
def spatial_dropout(layer: Any, x: Value) -> Value:
    """Drops whole channels of a volume."""
    first = layer.data_format == "channels_first"
    return dropped(layer.name, x, layer.rate, (None, 1, 1, 1) if first else (1, 1, 1, None))


def volume(layer: Any, x: Value) -> Value:
    """`x` as a volume of the layer's data format, stored as D,C,H,W."""
    return arranged(layer.name, x, Value.of(x.shape, _axes(layer)))


def slabs(name: str, x: Value, depth: Depth, fill: float = 0.0) -> Value:
    """A volume as images, one for each window over its depth, with the channels of all its
    slices.
    """
    _, channels, height, width = x.stored
    places = depth.slices + depth.front
    sides = np.array([0, depth.front, 0, 0, 0, 0, depth.back, 0, 0, 0])
    shape = (depth.span * channels, height, width)
    onnx = (
        Node("Pad", ("X",), {"mode": "constant"}, (sides, np.array(fill, np.float32)), ("around",)),
        Node("Gather", ("around",), {"axis": 1}, (places.ravel(),), ("slices",)),
        Node("Reshape", ("slices",), {}, (np.array([-1, *shape]),)),
    )
    sizes: dict[str, Scalar] = {**depth.sizes, "block": channels * height * width, "value": fill}
    to = Value.of(shape, rows=x.rows * depth.count)
    return call(name, "slabs", x, to=to, sizes=sizes, onnx=onnx)


def joined_slabs(name: str, slab: Value, depth: Depth) -> Value:
    """The adjoint of `slabs`: images of windows over the depth, added up where they overlap."""
    channels, height, width = slab.stored
    shape = (channels // depth.span, height, width)
    block = math.prod(shape)
    stored = (depth.size, *shape)
    sums = np.zeros((depth.count * depth.span, depth.padded), np.float32)
    places = (depth.slices + depth.front).ravel()
    sums[np.arange(places.size), places] = 1
    sums = sums[:, depth.front : depth.front + depth.size]
    onnx = (
        Node("Reshape", ("X",), {}, (np.array([-1, places.size, block]),), ("slices",)),
        Node("Einsum", ("slices",), {"equation": "nsb,sd->ndb"}, (sums,), ("joined",)),
        Node("Reshape", ("joined",), {}, (np.array([-1, *stored]),)),
    )
    order = np.arange(depth.size * block)
    to = Value((order.size,), stored, order, slab.rows // depth.count)
    sizes: dict[str, Scalar] = {**depth.sizes, "block": block}
    return call(name, "slabs_joined", slab, to=to, sizes=sizes, onnx=onnx)


def folded_slices(name: str, x: Value) -> Value:
    """The slices of a volume as separate images."""
    depth, *shape = x.stored
    onnx = Node("Reshape", ("X",), {}, (np.array([-1, *shape]),))
    to = Value.of(tuple(shape), rows=x.rows * depth)
    return call(name, FOLD, x, to=to, sizes={"factor": depth}, onnx=onnx)


def _axes(layer: Any) -> Shape:
    """Keras' axes of a volume in storage order."""
    return (1, 0, 2, 3) if layer.data_format == "channels_first" else (0, 3, 1, 2)


def _deep(layer: Any, x: Value, stored: Shape) -> Value:
    """The cells of `x` as a volume of the layer's data format."""
    shape = tuple(stored[_axes(layer).index(axis)] for axis in range(4))
    like = Value.of(shape, _axes(layer))
    return x.seen_as(shape, stored, like.order)


def _of_slabs(layer: Any, x: Value, count: int) -> Value:
    """The images of `count` windows over the depth as one volume."""
    stored = (count, *x.stored)
    onnx = Node("Reshape", ("X",), {}, (np.array([-1, *stored]),))
    flat = Value((x.size * count,), stored, np.arange(x.size * count), x.rows // count)
    out = call(layer.name, UNFOLD, x, to=flat, sizes={"factor": count}, onnx=onnx)
    return _deep(layer, out, stored)


def _mixed(layer: Any, x: Value, shares: np.ndarray) -> Value:
    """A volume whose slices are weighted sums of the slices of `x`, by `shares` (slices,
    slices).
    """
    block = math.prod(x.stored[1:])
    source, target = np.nonzero(shares)
    cells = np.column_stack([source * block, target * block, shares[source, target]])
    steps = np.arange(block)[:, None, None] * np.array([1, 1, 0])
    stored = (shares.shape[1], *x.stored[1:])
    flat = Value((math.prod(stored),), stored, np.arange(math.prod(stored)), x.rows)
    onnx = Node("Einsum", ("X",), {"equation": "ndchw,de->nechw"}, (shares.astype(np.float32),))
    return _deep(
        layer, mapped(layer.name, x, (cells + steps).reshape(-1, 3), flat, (onnx,)), stored
    )


def _as_image(x: Value) -> Value:
    """A volume as a single image with the channels of all slices."""
    depth, channels, height, width = x.stored
    shape = (depth * channels, height, width)
    return x.seen_as(shape, shape, Value.of(shape).order)


def _of_slices(layer: Any, x: Value, cells: Shape, dilation: Shape = (1, 1)) -> Window:
    """The window of a layer over images that are made of slices, with their channels first."""
    strides = _triple(layer.strides)[1:]
    return Window.over(x, cells, strides, layer.padding, "channels_first", dilation)


def _triple(sizes: Any) -> tuple[int, int, int]:
    triple = (sizes,) * 3 if isinstance(sizes, int) else tuple(sizes)
    return int(triple[0]), int(triple[1]), int(triple[2])
