"""Images of another size: each pixel is a weighted sum of pixels, by Keras' own factors.

Keras interpolates in float32, of a float64 model, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value
from keras2dml.rules import call, lowers
from keras2dml.rules.layouts import mapped, picked, places
from keras2dml.rules.windows import image, sized


@lowers(
    keras.layers.Resizing,
    honours="height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode"
    " fill_value antialias data_format",
)
def resizing(layer: keras.layers.Resizing, x: Value) -> Value:
    """The whole image, the largest part of it with the new one's aspect ratio, or the image with
    `fill_value` around it.
    """
    x = image(layer, x)
    height, width = x.stored[1:]
    down, along = _Line(height, layer.height), _Line(width, layer.width)
    if layer.crop_to_aspect_ratio:
        wide, tall = _shared(width, height, layer), _shared(height, width, layer, across=True)
        down, along = down.cropped(wide), along.cropped(tall)
    elif layer.pad_to_aspect_ratio:
        wide, tall = _shared(width, height, layer), _shared(height, width, layer, across=True)
        down, along = down.padded(wide), along.padded(tall)
    how = layer.interpolation, layer.antialias
    inside, outside = down.factors(*how), along.factors(*how)
    out = _weighed(layer, x, inside, outside)
    if not (down.pad or along.pad) or layer.fill_value == 0:
        return out
    # What the padding gives to each pixel: all of it but what comes from the image.
    whole = np.outer(down.totals(*how), along.totals(*how))
    image_share = np.outer(inside.sum(axis=0), outside.sum(axis=0))
    plane = layer.fill_value * (whole - image_share)
    return _shifted(layer.name, out, np.broadcast_to(plane, out.stored))


@lowers(keras.layers.CenterCrop, honours="height width data_format")
def center_crop(layer: keras.layers.CenterCrop, x: Value) -> Value:
    """The middle of an image, or of a smaller one the middle with that aspect ratio, resized."""
    x = image(layer, x)
    height, width = x.stored[1:]
    if height >= layer.height and width >= layer.width:
        first = layer.data_format == "channels_first"
        middle = [
            slice((size - part) // 2, (size - part) // 2 + part)
            for size, part in ((height, layer.height), (width, layer.width))
        ]
        whole = slice(None)
        return picked(layer.name, x, places(x)[(whole, *middle) if first else (*middle, whole)])
    tall = int(float(width * layer.height) / layer.width)
    wide = int(float(height * layer.width) / layer.height)
    down = _Line(height, layer.height).cropped(tall)
    along = _Line(width, layer.width).cropped(wide)
    return _weighed(layer, x, down.factors("bilinear"), along.factors("bilinear"))


def up_sampled(layer: Any, x: Value, sizes: tuple[int, ...]) -> Value:
    """An image so many times as high and as wide."""
    down, along = (
        _Line(size, size * times).factors(layer.interpolation)
        for size, times in zip(x.stored[1:], sizes, strict=True)
    )
    return _weighed(layer, x, down, along)


@dataclass(frozen=True)
class _Line:
    """A line of `size` pixels that becomes one of `target`: of a part of it, from `begin` on, or
    with `pad` pixels on both sides.
    """

    size: int
    target: int
    begin: int = 0
    part: int = 0
    pad: int = 0

    def cropped(self, part: int) -> _Line:
        """The middle `part` of the line, at least a pixel and at most all."""
        part = max(min(self.size, part), 1)
        return _Line(self.size, self.target, (self.size - part) // 2, part)

    def padded(self, whole: int) -> _Line:
        """The line with as much around it as makes `whole` pixels, rounded down on both sides."""
        return _Line(self.size, self.target, pad=max(whole - self.size, 0) // 2)

    def factors(self, interpolation: str, antialias: bool = False) -> np.ndarray:
        """How much each pixel of the line adds to each of the `target` pixels, (size, target)."""
        part = self.part or self.size + 2 * self.pad
        contributions = _contributions(interpolation, part, self.target, antialias=antialias)
        if not self.part:
            return contributions[self.pad : self.pad + self.size]
        factors = np.zeros((self.size, self.target))
        factors[self.begin : self.begin + part] = contributions
        return factors

    def totals(self, interpolation: str, antialias: bool = False) -> np.ndarray:
        """The sum of the contributions to each of the `target` pixels, padding included."""
        whole = self.size + 2 * self.pad
        totals: np.ndarray = _contributions(
            interpolation, whole, self.target, antialias=antialias
        ).sum(axis=0)
        return totals


def _contributions(interpolation: str, size: int, target: int, *, antialias: bool) -> np.ndarray:
    """How much each of `size` pixels of a line adds to each of `target` pixels, (size, target)."""
    lines = np.eye(size, dtype=np.float32).reshape(size, size, 1, 1)
    resized = keras.ops.image.resize(
        lines,
        (target, 1),
        interpolation=interpolation,
        antialias=antialias,
        data_format="channels_last",
    )
    return np.asarray(resized, dtype=np.float64).reshape(size, target)


def _shared(width: int, height: int, layer: Any, *, across: bool = False) -> int:
    """The height that goes with a width in the new aspect ratio, as Keras rounds it; `across`, the
    width that goes with a height.
    """
    sizes = (layer.width, layer.height) if across else (layer.height, layer.width)
    return int(np.float32(width * sizes[0]) / np.float32(sizes[1]))


def _weighed(layer: Any, x: Value, down: np.ndarray, along: np.ndarray) -> Value:
    """An image (C, H, W) of which each pixel is a sum of pixels, by factors for lines and for
    columns, (H, rows) and (W, columns).
    """
    channels, height, width = x.stored
    (row, new_row), (column, new_column) = np.nonzero(down), np.nonzero(along)
    pixel = row[:, None] * width + column
    result = new_row[:, None] * along.shape[1] + new_column
    share = down[row, new_row][:, None] * along[column, new_column]
    plane = np.column_stack([pixel.ravel(), result.ravel(), share.ravel()])
    step = np.array([height * width, down.shape[1] * along.shape[1], 0])
    cells = np.concatenate([plane + step * channel for channel in range(channels)])
    to = sized(layer.data_format, channels, (down.shape[1], along.shape[1]), x)
    between = down.astype(np.float32), along.astype(np.float32)
    onnx = (Node("Einsum", ("X",), {"equation": "nchw,hk,wv->nckv"}, between),)
    return mapped(layer.name, x, cells, to, onnx)


def _shifted(name: str, x: Value, offsets: np.ndarray) -> Value:
    onnx = Node("Add", ("X",), {}, (offsets.astype(np.float32),))
    row = Constant("offsets", offsets.reshape(1, -1))
    return call(name, "shifted", x, constants=(row,), onnx=onnx)
