"""Caffe's pooling, whose last windows may extend beyond the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras2dml.caffe.layers.caffe_layer import CaffeLayer, registered
from keras2dml.caffe.network import FIRST, Network, image_of, reads
from keras2dml.caffe.phases import named
from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowers
from keras2dml.rules.pooling import LOWEST, averaged, largest
from keras2dml.rules.windows import Pair, Window, image, lined

MAX, AVE = "MAX", "AVE"


@registered
class CaffePooling(CaffeLayer):
    """Pooling whose last windows may extend beyond the edge, unless sizes are rounded down
    (`floor`). A mean counts the cells of the window inside the padded image, including padding.
    """

    config_names = ("pool", "kernel", "strides", "pad", "floor")

    def __init__(
        self, pool: str, kernel: Pair, strides: Pair, pad: Pair, floor: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pool, self.kernel = pool, lined(kernel)
        self.strides, self.pad, self.floor = lined(strides), lined(pad), floor

    def window(self, channels: int, height: int, width: int) -> Window:
        """The window, with padding up to the end of the last one."""
        bottom, right = (
            max(0, (count - 1) * stride + kernel - size - pad)
            for count, size, kernel, stride, pad in zip(
                self.counts(height, width),
                (height, width),
                self.kernel,
                self.strides,
                self.pad,
                strict=True,
            )
        )
        pads = (*self.pad, bottom, right)
        return Window(FIRST, channels, height, width, self.kernel, self.strides, pads)

    def counts(self, height: int, width: int) -> Pair:
        """The number of windows vertically and horizontally."""
        sides = zip((height, width), self.kernel, self.strides, self.pad, strict=True)
        down, along = (self._count(*side) for side in sides)
        return down, along

    def _count(self, size: int, kernel: int, stride: int, pad: int) -> int:
        room = size + 2 * pad - kernel
        count = (room // stride if self.floor else -(-room // stride)) + 1
        if pad and (count - 1) * stride >= size + pad:
            count -= 1
        return count

    def inside(self, window: Window) -> np.ndarray:
        """1 inside the padded image, 0 beyond."""
        full = np.zeros(window.padded)
        full[: window.height + 2 * self.pad[0], : window.width + 2 * self.pad[1]] = 1
        return full

    def call(self, x: Any) -> Any:
        """The maximum or the mean of each window. Computes with channels last, as TensorFlow
        requires on a CPU.
        """
        window = self.window(*x.shape[1:])
        top, left, bottom, right = window.pads
        edges = ((0, 0), (top, bottom), (left, right), (0, 0))
        around = ops.pad(
            ops.transpose(x, (0, 2, 3, 1)),
            edges,
            constant_values=LOWEST if self.pool == MAX else 0.0,
        )
        pooled = ops.max_pool if self.pool == MAX else ops.average_pool
        out = pooled(around, self.kernel, self.strides, "valid", "channels_last")
        out = ops.transpose(out, (0, 3, 1, 2))
        if self.pool == MAX:
            return out
        return out / ops.cast(window.shares(self.inside(window)), out.dtype)


@lowers(CaffePooling, honours="pool kernel strides pad floor")
def pooling(layer: CaffePooling, x: Value) -> Value:
    """Keras' pooling of the padded image."""
    x = image(layer, x)
    window = layer.window(*x.stored)
    if layer.pool == MAX:
        return largest(layer.name, window, x)
    return averaged(layer.name, window, x, layer.inside(window))


@reads("Pooling")
def read_pooling(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """The maximum or the mean of windows, or of whole images."""
    param, x = layer.pooling_param, image_of(layer, inputs[0])
    if param.pool > 1:
        reason = f"{named(layer)} has pool: STOCHASTIC, which is not compiled: use MAX or AVE."
        raise Refusal(reason)
    name, pool = network.reserve_name(layer), (MAX, AVE)[param.pool]
    if param.global_pooling and pool == AVE:
        return keras.layers.GlobalAveragePooling2D(data_format=FIRST, keepdims=True, name=name)(x)
    if param.global_pooling:
        # Caffe's gradient goes to the first of equal maxima, that of Keras' layer to all of them.
        return CaffePooling(pool, x.shape[2:], (1, 1), (0, 0), name=name)(x)
    kernel, pad = _sides(param, "kernel", "kernel_size"), _sides(param, "pad", "pad")
    if pad[0] >= kernel[0] or pad[1] >= kernel[1]:
        reason = f"{named(layer)} has a pad at least as large as its kernel: make it smaller."
        raise Refusal(reason)
    strides = _sides(param, "stride", "stride")
    keras_layer = CaffePooling(pool, kernel, strides, pad, bool(param.round_mode), name=name)
    if min(keras_layer.counts(*x.shape[2:])) < 1:
        size = " x ".join(map(str, x.shape[2:]))
        reason = f"{named(layer)} has a kernel larger than its images of {size}: make it smaller."
        raise Refusal(reason)
    return keras_layer(x)


def _sides(param: Any, name: str, repeated: str) -> Pair:
    """Height and width of a setting that is given once or as `_h` and `_w`."""
    if param.HasField(f"{name}_h") or param.HasField(f"{name}_w"):
        return int(getattr(param, f"{name}_h")), int(getattr(param, f"{name}_w"))
    return int(getattr(param, repeated)), int(getattr(param, repeated))
