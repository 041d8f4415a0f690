"""Transposed convolutions: the gradient of a convolution with respect to its image, as a layer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Node, Scalar, Value, Weight
from keras2dml.rules import call, lowers
from keras2dml.rules.activations import activated
from keras2dml.rules.biases import check_channels
from keras2dml.rules.convolution import bias_of, biased, kernel_axes, spaced
from keras2dml.rules.layouts import picked, places
from keras2dml.rules.windows import Window, image, image_axes, lined, sized


@lowers(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    honours="filters kernel_size strides padding output_padding dilation_rate data_format"
    " activation use_bias",
)
def transposed_convolution(layer: Any, x: Value) -> Value:
    """The transpose of the convolution from the result to `x`, with Keras' kernel (Hf, Wf, F, C),
    in DML (C, F * Hf * Wf).
    """
    x = image(layer, x)
    shape = tuple(layer.compute_output_shape((1, *x.shape))[1:])
    result = Value.of(shape, image_axes(layer.data_format, len(shape)))
    window = Window.of(layer, result, tuple(layer.kernel_size), layer.dilation_rate)
    channels, kernel = x.stored[0], layer.kernel
    weight = Weight("W", kernel, (channels, math.prod(kernel.shape) // channels), kernel_axes(x))
    out = spread_out(layer.name, x, window, weight, layer.filters)
    check_channels(layer, out)
    return activated(layer, biased(layer.name, out, bias_of(layer)), layer.activation)


def spread_out(name: str, x: Value, window: Window, weight: Weight, filters: int) -> Value:
    """The image that a convolution with this window maps to one of the size of `x`."""
    dilated = window.dilation != (1, 1)
    whole = window if window.symmetric else _around(window)
    sizes: dict[str, Scalar] = {**whole.sizes, "F": x.stored[0]}
    cells: Any = whole.attributes(len(x.shape))["kernel_shape"]
    shape = np.array([x.stored[0], -1, *cells])
    merged = (Node("Reshape", ("W",), {}, (shape,), ("merged",)),)
    plain = len(weight.stored) == 2 + len(cells)
    attributes = _attributes(whole, x)
    out = call(
        name,
        "conv2d_transpose_dilated" if dilated else "conv2d_transpose",
        x,
        to=sized(window.data_format, filters, (whole.height, whole.width), x),
        weights=(weight,),
        constants=(spaced(window, filters),) if dilated else (),
        sizes=sizes,
        onnx=(
            *(() if plain else merged),
            Node("ConvTranspose", ("X", "W" if plain else "merged"), attributes),
        ),
    )
    return out if whole is window else _inside(name, window, out)


def _around(window: Window) -> Window:
    """The window without padding, over the padded image."""
    height, width = window.padded
    return replace(window, height=height, width=width, pads=(0, 0, 0, 0))


def _inside(name: str, window: Window, x: Value) -> Value:
    """The image `x` without the padding of a window."""
    top, left, _, _ = window.pads
    sources = places(x)
    first = window.data_format == "channels_first"
    spatial = ((top, window.height), (left, window.width))[3 - len(x.shape) :]
    for axis, (begin, size) in enumerate(spatial, start=int(first)):
        sources = sources.take(range(begin, begin + size), axis)
    return picked(name, x, sources)


def _attributes(window: Window, x: Value) -> dict[str, object]:
    """The window in ONNX's names; output padding for the remainder of the strides is at the end."""
    rank, strides = len(x.shape), window.strides
    covered = (
        stride * (size - 1) + cells - 2 * pad
        for stride, size, cells, pad in zip(
            strides, lined(x.stored[1:]), window.window, window.pads[:2], strict=True
        )
    )
    left = [
        whole - part for whole, part in zip((window.height, window.width), covered, strict=True)
    ]
    return {
        **window.attributes(rank),
        "dilations": window.dilation[3 - rank :],
        "output_padding": tuple(left[3 - rank :]),
    }
