"""Windows that slide over images; a sequence (T, C) is an image with one row."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras2dml.graph import Node, Scalar, Shape, Value
from keras2dml.rules import call
from keras2dml.rules.layouts import arranged

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window sliding over an image of `channels` x `height` x `width`, with Keras' padding on
    each side; it uses every `dilation`th cell. `data_format` is that of the image in Keras.
    """

    data_format: str
    channels: int
    height: int
    width: int
    cells: Pair
    strides: Pair
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: Pair = (1, 1)

    @classmethod
    def of(cls, layer: Any, x: Value, cells: Shape, dilation: Any = 1) -> Window:
        """The window of a layer with `strides` and `padding` over `x`, stored as C,H,W or C,T."""
        strides = _pair(layer.strides, cells)
        return cls.over(x, cells, strides, layer.padding, layer.data_format, _pair(dilation, cells))

    @classmethod
    def over(
        cls,
        x: Value,
        cells: Shape,
        strides: Shape,
        padding: str,
        data_format: str,
        dilation: Shape,
    ) -> Window:
        """The window over `x`, stored as C,H,W or C,T, with Keras' `padding` of that name."""
        channels, *size = x.stored
        height, width = lined(size)
        window = cls(data_format, channels, height, width, lined(cells), lined(strides))
        window = replace(window, dilation=lined(dilation))
        if padding == "valid":
            return window
        if padding == "causal":
            return replace(window, pads=(0, window.window[1] - 1, 0, 0))
        top, bottom = same_padding(height, window.window[0], window.strides[0])
        left, right = same_padding(width, window.window[1], window.strides[1])
        return replace(window, pads=(top, left, bottom, right))

    @classmethod
    def of_places(cls, x: Value, data_format: str) -> Window:
        """A window of a single cell over each place of `x`, stored as C,H,W or C,T."""
        channels, *size = x.stored
        return cls(data_format, channels, *lined(size), (1, 1), (1, 1))

    @property
    def window(self) -> Pair:
        """Height and width of the area that the window covers."""
        down, along = self.dilation
        return (self.cells[0] - 1) * down + 1, (self.cells[1] - 1) * along + 1

    @property
    def padded(self) -> Pair:
        """Height and width of the image with its padding."""
        top, left, bottom, right = self.pads
        return self.height + top + bottom, self.width + left + right

    @property
    def output(self) -> Pair:
        """Height and width of the result."""
        (height, width), (across, along) = self.padded, self.strides
        return (height - self.window[0]) // across + 1, (width - self.window[1]) // along + 1

    def shares(self, inside: np.ndarray) -> np.ndarray:
        """The mean of each window over an image of the padded size."""
        windows = np.lib.stride_tricks.sliding_window_view(inside, self.window)
        means: np.ndarray = windows[:: self.strides[0], :: self.strides[1]].mean(axis=(2, 3))
        return means

    @property
    def symmetric(self) -> bool:
        """Whether opposite sides have the same padding."""
        return self.pads[:2] == self.pads[2:]

    @property
    def overlaps(self) -> bool:
        """Whether any pixel is in more than one window."""
        return self.strides[0] < self.window[0] or self.strides[1] < self.window[1]

    @property
    def sizes(self) -> dict[str, Scalar]:
        """The window as arguments of the DML library."""
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

    def attributes(self, rank: int) -> dict[str, object]:
        """The window as ONNX attributes, for images of rank 3 or sequences of rank 2."""
        top, left, bottom, right = self.pads
        axes = slice(3 - rank, 2)
        return {
            "kernel_shape": self.cells[axes],
            "strides": self.strides[axes],
            "pads": (top, left, bottom, right) if rank == 3 else (left, right),
        }


def image_axes(data_format: str, rank: int = 3) -> Shape:
    """The axes of Keras' image in DML's order: channels, height, width; or channels, time."""
    axes = tuple(range(rank))
    return axes if data_format == "channels_first" else (axes[-1], *axes[:-1])


def image(layer: Any, x: Value) -> Value:
    """`x` as an image in the layer's data format, with channels first in DML."""
    return arranged(layer.name, x, Value.of(x.shape, image_axes(layer.data_format, len(x.shape))))


def sized(data_format: str, channels: int, size: Shape, x: Value) -> Value:
    """An image of this size, in Keras in this data format and with the rank of `x`."""
    rank = len(x.shape)
    axes = image_axes(data_format, rank)
    stored = (channels, *size[len(size) + 1 - rank :])
    return Value.of(tuple(stored[axes.index(axis)] for axis in range(rank)), axes, x.rows)


def padded(name: str, window: Window, x: Value, fill: float) -> tuple[Window, Value]:
    """`window` without padding, and `x` with the padding added."""
    top, left, bottom, right = window.pads
    sizes = {"top": top, "left": left, "bottom": bottom, "right": right, "value": fill}
    sides = ((0, 0), (0, 0), (top, bottom), (left, right))
    around = sides if len(x.shape) == 3 else (*sides[:2], sides[3])
    pads = np.array([side[0] for side in around] + [side[1] for side in around])
    out = call(
        name,
        "pad2d",
        x,
        to=sized(window.data_format, window.channels, window.padded, x),
        sizes={**window.sizes, **sizes},
        onnx=Node("Pad", (), {"mode": "constant"}, (pads, np.array(fill, dtype=np.float32))),
    )
    height, width = window.padded
    return replace(window, height=height, width=width, pads=(0, 0, 0, 0)), out


def same_padding(size: int, window: int, stride: int) -> Pair:
    """Keras' padding before and after; an odd one is larger after."""
    total = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def lined(sizes: Any) -> Pair:
    """Sizes of a window or an image; those of a sequence as of an image with one row."""
    pair = (1, *sizes) if len(sizes) == 1 else tuple(sizes)
    return int(pair[0]), int(pair[1])


def _pair(sizes: Any, like: Shape) -> Shape:
    return (sizes,) * len(like) if isinstance(sizes, int) else tuple(sizes)
