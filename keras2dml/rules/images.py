"""Convolution and pooling over images; Keras' padding, symmetric or not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import keras
import numpy as np

from keras2dml.graph import Node, Scalar, Shape, Value, Weight
from keras2dml.rules import call, lowers
from keras2dml.rules.activations import activated
from keras2dml.rules.layouts import arranged

# What pads the input of a max-pooling: the lowest float32, so that it is never the largest element
# of a window.
LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Window:
    """A window sliding over an image of `channels` x `height` x `width`, with Keras' padding on
    each side.
    """

    channels: int
    height: int
    width: int
    window: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]  # top, left, bottom, right

    @classmethod
    def of(cls, layer: keras.Layer, x: Value, window: tuple[int, int]) -> Window:
        """The window of a 2D layer with `strides` and `padding` over `x`, stored as C,H,W."""
        channels, height, width = x.stored
        strides = tuple(layer.strides)
        pads = (0, 0, 0, 0)
        if layer.padding == "same":
            top, bottom = _same_padding(height, window[0], strides[0])
            left, right = _same_padding(width, window[1], strides[1])
            pads = (top, left, bottom, right)
        return cls(channels, height, width, window, strides, pads)

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the image with its padding."""
        top, left, bottom, right = self.pads
        return self.height + top + bottom, self.width + left + right

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the result."""
        (height, width), (across, along) = self.padded, self.strides
        return (height - self.window[0]) // across + 1, (width - self.window[1]) // along + 1

    @property
    def symmetric(self) -> bool:
        """Whether opposite sides have the same padding."""
        return self.pads[:2] == self.pads[2:]

    @property
    def overlaps(self) -> bool:
        """Whether one pixel is in more than one window."""
        return self.strides[0] < self.window[0] or self.strides[1] < self.window[1]

    @property
    def sizes(self) -> dict[str, Scalar]:
        """The window in the names of the DML library."""
        return {
            "C": self.channels,
            "Hin": self.height,
            "Win": self.width,
            "Hf": self.window[0],
            "Wf": self.window[1],
            "strideh": self.strides[0],
            "stridew": self.strides[1],
            "padh": self.pads[0],
            "padw": self.pads[1],
            "Hout": self.output[0],
            "Wout": self.output[1],
        }

    @property
    def attributes(self) -> dict[str, object]:
        """The window in the names of ONNX."""
        return {"kernel_shape": self.window, "strides": self.strides, "pads": self.pads}


def image_axes(layer: keras.Layer) -> tuple[int, int, int]:
    """The axes of Keras' image in DML's order: channels, height, width."""
    return (0, 1, 2) if layer.data_format == "channels_first" else (2, 0, 1)


def image(layer: keras.Layer, x: Value) -> Value:
    """`x` as an image of the layer's data format, with its channels first in DML."""
    return arranged(layer, x, Value.of(x.shape, image_axes(layer)))


def sized(layer: keras.Layer, channels: int, size: tuple[int, int], rows: int = 1) -> Value:
    """An image value of that size, in Keras in the layer's data format."""
    axes = image_axes(layer)
    stored = (channels, *size)
    shape: Shape = tuple(stored[axes.index(axis)] for axis in range(3))
    return Value.of(shape, axes, rows)


def padded(layer: keras.Layer, window: Window, x: Value, fill: float) -> tuple[Window, Value]:
    """`window` and `x` with the padding made part of `x`."""
    top, left, bottom, right = window.pads
    sizes = {"top": top, "left": left, "bottom": bottom, "right": right, "value": fill}
    pads = np.array([0, 0, top, left, 0, 0, bottom, right])
    out = call(
        layer,
        "pad2d",
        x,
        to=sized(layer, window.channels, window.padded, x.rows),
        sizes={**window.sizes, **sizes},
        onnx=Node("Pad", (), {"mode": "constant"}, (pads, np.array(fill, dtype=np.float32))),
    )
    height, width = window.padded
    return replace(window, height=height, width=width, pads=(0, 0, 0, 0)), out


def _same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


@lowers(
    keras.layers.Conv2D,
    honours="filters kernel_size strides padding data_format activation use_bias",
)
def conv2d(layer: keras.layers.Conv2D, x: Value) -> Value:
    """Cross-correlation with Keras' kernel (Hf, Wf, C, F), in DML (F, C * Hf * Wf)."""
    x = image(layer, x)
    window = Window.of(layer, x, tuple(layer.kernel_size))
    if not window.symmetric:
        window, x = padded(layer, window, x, fill=0.0)
    shape, filters = tuple(layer.kernel.shape), layer.filters
    kernel = Weight("W", layer.kernel, (filters, math.prod(shape[:3])), (3, 2, 0, 1))
    bias = (Weight("b", layer.bias, (filters, 1)),) if layer.use_bias else ()
    out = call(
        layer,
        "conv2d" if layer.use_bias else "conv2d_unbiased",
        x,
        to=sized(layer, filters, window.output, x.rows),
        weights=(kernel, *bias),
        sizes={**window.sizes, "F": filters},
        onnx=Node("Conv", (), window.attributes),
    )
    return activated(layer, out, layer.activation)


@lowers(keras.layers.MaxPooling2D, honours="pool_size strides padding data_format")
def max_pooling2d(layer: keras.layers.MaxPooling2D, x: Value) -> Value:
    """The largest element of each window; the gradient goes to the first one that is as large, as
    in TensorFlow.

    SystemDS' own backward is fast, and right where windows lie apart and a pooled row has not six
    entries: its sorting network for six is wrong, and overlapping windows leave duplicate entries.
    The others gather windows.
    """
    x = image(layer, x)
    window = Window.of(layer, x, tuple(layer.pool_size))
    if any(window.pads):
        window, x = padded(layer, window, x, fill=LOWEST)
    gathers = window.overlaps or window.output[1] == 6
    return call(
        layer,
        "max_pooling2d_gathered" if gathers else "max_pooling2d",
        x,
        to=sized(layer, window.channels, window.output, x.rows),
        sizes=window.sizes,
        onnx=Node("MaxPool", (), window.attributes),
    )
