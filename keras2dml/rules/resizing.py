"""Resizes images: each pixel is a weighted sum of pixels, with Keras' factors.

Keras interpolates in float32 even in a float64 model.
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
    """Resizes the whole image, its largest part with the new aspect ratio, or the image padded with
    `fill_value`.
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
    # The share of the padding in each pixel: what does not come from the image.
    whole = np.outer(down.totals(*how), along.totals(*how))
    image_share = np.outer(inside.sum(axis=0), outside.sum(axis=0))
    plane = layer.fill_value * (whole - image_share)
    return _shifted(layer.name, out, np.broadcast_to(plane, out.stored))


@lowers(keras.layers.CenterCrop, honours="height width data_format")
def center_crop(layer: keras.layers.CenterCrop, x: Value) -> Value:
    """The center of an image; of a smaller image the center with that aspect ratio, resized."""
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
    """An image enlarged by these factors in height and width."""
    down, along = (
        _Line(size, size * times).factors(layer.interpolation)
        for size, times in zip(x.stored[1:], sizes, strict=True)
    )
    return _weighed(layer, x, down, along)


@dataclass(frozen=True)
class _Line:
    """A line of `size` pixels that is resized to `target` pixels: a part of it from `begin`, or the
    line with `pad` pixels on both sides.
    """

    size: int
    target: int
    begin: int = 0
    part: int = 0
    pad: int = 0

    def cropped(self, part: int) -> _Line:
        """The middle `part` pixels of the line: at least one, at most all."""
        part = max(min(self.size, part), 1)
        return _Line(self.size, self.target, (self.size - part) // 2, part)

    def padded(self, whole: int) -> _Line:
        """The line padded to `whole` pixels, rounded down on both sides."""
        return _Line(self.size, self.target, pad=max(whole - self.size, 0) // 2)

    def factors(self, interpolation: str, antialias: bool = False) -> np.ndarray:
        """The weight of each pixel of the line in each of the `target` pixels, (size, target)."""
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
    """The weight of each of `size` pixels of a line in each of `target` pixels, (size, target)."""
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
    """The height for a width in the new aspect ratio, rounded as in Keras; with `across` the width
    for a height.
    """
    sizes = (layer.width, layer.height) if across else (layer.height, layer.width)
    return int(np.float32(width * sizes[0]) / np.float32(sizes[1]))


def _weighed(layer: Any, x: Value, down: np.ndarray, along: np.ndarray) -> Value:
    """An image (C, H, W) in which each pixel is a weighted sum of pixels, with factors for rows and
    for columns, (H, rows) and (W, columns).
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
