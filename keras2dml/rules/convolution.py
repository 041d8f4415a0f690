"""Convolutions over images and sequences: full, grouped, depthwise and separable."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Scalar, Value, Weight
from keras2dml.rules import call, lowers
from keras2dml.rules.activations import activated
from keras2dml.rules.biases import check_channels
from keras2dml.rules.windows import Window, image, padded, sized

# Channels that are computed together for the gradient of a grouped kernel. Results across groups
# are discarded, so more channels at once are slower, and so are more rounds.
CHANNELS_AT_ONCE = 64


@lowers(
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    honours="filters kernel_size strides padding dilation_rate groups data_format activation"
    " use_bias",
)
def convolution(layer: Any, x: Value) -> Value:
    """Cross-correlation with Keras' kernel (Hf, Wf, C / groups, F), in DML (F, C / groups * Hf *
    Wf).
    """
    x = image(layer, x)
    window = Window.of(layer, x, tuple(layer.kernel_size), layer.dilation_rate)
    axes = kernel_axes(x)
    kernel = Weight("W", layer.kernel, _matrix(layer.kernel, layer.filters), axes)
    out = convolved(layer.name, x, window, kernel, bias_of(layer), layer.groups)
    check_channels(layer, out)
    return activated(layer, out, layer.activation)


@lowers(
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    honours="kernel_size strides padding depth_multiplier dilation_rate data_format activation"
    " use_bias",
)
def depthwise_convolution(layer: Any, x: Value) -> Value:
    """A convolution of each channel with separate kernels."""
    out = _depthwise(layer, image(layer, x), layer.kernel, bias_of(layer))
    check_channels(layer, out)
    return activated(layer, out, layer.activation)


@lowers(
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    honours="filters kernel_size strides padding dilation_rate depth_multiplier data_format"
    " activation use_bias",
)
def separable_convolution(layer: Any, x: Value) -> Value:
    """A depthwise convolution, then a pointwise one over all channels."""
    x = _depthwise(layer, image(layer, x), layer.depthwise_kernel, ())
    kernel = layer.pointwise_kernel
    weight = Weight("W", kernel, _matrix(kernel, layer.filters), kernel_axes(x))
    out = convolved(layer.name, x, Window.of_places(x, layer.data_format), weight, bias_of(layer))
    check_channels(layer, out)
    return activated(layer, out, layer.activation)


def convolved(
    name: str,
    x: Value,
    window: Window,
    kernel: Weight,
    bias: tuple[Weight, ...],
    groups: int = 1,
) -> Value:
    """The image `x` convolved with a kernel stored as F, C / groups, height, width.

    A grouped kernel becomes a sparse one over all channels; a dilated kernel gets zeros between its
    cells by a map of columns. Both add the bias in a separate step.
    """
    if not window.symmetric:
        window, x = padded(name, window, x, fill=0.0)
    filters, rank = kernel.matrix[0], len(x.shape)
    dilated, grouped = window.dilation != (1, 1), groups > 1
    variant = ("_grouped" if grouped else "") + ("_dilated" if dilated else "")
    inside = () if variant else bias
    sizes: dict[str, Scalar] = {**window.sizes, "F": filters}
    if grouped:
        sizes |= {"groups": groups, "parts": _parts(groups, window.channels // groups)}
    attributes = {
        **window.attributes(rank),
        "dilations": window.dilation[3 - rank :],
        "group": groups,
    }
    out = call(
        name,
        f"conv2d{variant or ('' if bias else '_unbiased')}",
        x,
        to=sized(window.data_format, filters, window.output, x),
        weights=(kernel, *inside),
        constants=(spaced(window, window.channels // groups),) if dilated else (),
        sizes=sizes,
        onnx=_nodes(kernel, inside, attributes),
    )
    return biased(name, out, bias) if variant else out


def biased(name: str, x: Value, bias: tuple[Weight, ...]) -> Value:
    """The image `x` with a bias added to each channel, if there is one."""
    if not bias:
        return x
    shape = np.array([1, -1, *(1 for _ in x.stored[1:])])
    onnx = (
        Node("Reshape", ("b",), {}, (shape,), ("column",)),
        Node("Add", ("X", "column")),
    )
    return call(name, "channel_bias", x, weights=bias, sizes={"C": x.stored[0]}, onnx=onnx)


def bias_of(layer: Any) -> tuple[Weight, ...]:
    """The bias of a layer or cell, a number for each filter; empty if it has none."""
    return (Weight("b", layer.bias, (layer.bias.shape[0], 1)),) if layer.use_bias else ()


def kernel_axes(x: Value) -> tuple[int, ...]:
    """Keras' axes of a kernel over `x` in DML's order: the last two come first, in reverse
    order.
    """
    rank = len(x.shape)
    return (rank, rank - 1, *range(rank - 1))


def spaced(window: Window, channels: int) -> Constant:
    """The map from the columns of a kernel over `channels` to those of the dilated kernel."""
    covered = np.arange(channels * math.prod(window.window))
    grid = covered.reshape(channels, *window.window)
    columns = grid[:, :: window.dilation[0], :: window.dilation[1]].ravel()
    cells = np.column_stack([np.arange(columns.size), columns, np.ones(columns.size)])
    sizes = {"inputs": columns.size, "outputs": covered.size}
    return Constant("S", cells + np.array([1, 1, 0]), "sparse_map", sizes)


def _depthwise(layer: Any, x: Value, kernel: Any, bias: tuple[Weight, ...]) -> Value:
    """`x` convolved with a kernel (Hf, Wf, C, M), in which the filters of a channel are a group."""
    rank, channels = len(x.shape), x.stored[0]
    window = Window.of(layer, x, tuple(layer.kernel_size), layer.dilation_rate)
    axes = (rank - 1, rank, *range(rank - 1))
    weight = Weight("W", kernel, _matrix(kernel, channels * layer.depth_multiplier), axes)
    return convolved(layer.name, x, window, weight, bias, groups=channels)


def _nodes(
    kernel: Weight, bias: tuple[Weight, ...], attributes: dict[str, object]
) -> tuple[Node, ...]:
    """The convolution in ONNX, where the kernel has one axis of filters and one of channels."""
    others = tuple(weight.argument for weight in bias)
    cells: Any = attributes["kernel_shape"]
    if kernel.stored[0] == kernel.matrix[0] and len(kernel.stored) == 2 + len(cells):
        return (Node("Conv", ("X", "W", *others), attributes),)
    shape = np.array([kernel.matrix[0], -1, *cells])
    merged = Node("Reshape", ("W",), {}, (shape,), ("merged",))
    return merged, Node("Conv", ("X", "merged", *others), attributes)


def _matrix(kernel: Any, filters: int) -> tuple[int, int]:
    return filters, math.prod(kernel.shape) // filters


def _parts(groups: int, channels: int) -> int:
    """The number of rounds for groups with this many channels."""
    rounds = (count for count in range(1, groups + 1) if groups % count == 0)
    return next(
        (count for count in rounds if groups // count * channels <= CHANNELS_AT_ONCE), groups
    )
