"""Pooling over windows of images and sequences, and global pooling."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Value, source_of
from keras2dml.rules import call, lowers
from keras2dml.rules.layouts import in_keras_order, permuted
from keras2dml.rules.masks import selected, without
from keras2dml.rules.merging import rescaled
from keras2dml.rules.windows import Window, image, padded, sized
from keras2dml.traits import Trait

# Padding for max-pooling: the lowest float32, so that it is never the maximum of a window.
LOWEST = float(np.finfo(np.float32).min)

GLOBAL = {
    keras.layers.GlobalAveragePooling2D: ("channel_means", "ReduceMean"),
    keras.layers.GlobalAveragePooling3D: ("channel_means", "ReduceMean"),
    keras.layers.GlobalMaxPooling1D: ("channel_maxima", "ReduceMax"),
    keras.layers.GlobalMaxPooling2D: ("channel_maxima", "ReduceMax"),
    keras.layers.GlobalMaxPooling3D: ("channel_maxima", "ReduceMax"),
}


@lowers(
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    honours="pool_size strides padding data_format",
)
def max_pooling(layer: Any, x: Value) -> Value:
    """The maximum of each window; of equal maxima the first gets the gradient, as in TensorFlow.

    SystemDS' backward builtin is fast, and correct if windows do not overlap and a pooled row does
    not have six entries: its sorting network for six is wrong, and overlapping windows leave
    duplicate entries. Other cases gather windows. A relu before the pooling is moved after it: the
    maxima are the same, and there are fewer elements.
    """
    x = image(layer, x)
    window, source = Window.of(layer, x, _pool(layer)), source_of(x)
    if Trait.AFTER_MAXIMA not in source.traits:
        return largest(layer.name, window, x)
    before = source.inputs[0]
    out = largest(layer.name, window, x.made_by(source_of(before), before.result))
    return call(source.layer, source.function, out, onnx=source.onnx, traits=source.traits)


def largest(name: str, window: Window, x: Value) -> Value:
    """The maximum of each window of an image."""
    if any(window.pads):
        window, x = padded(name, window, x, fill=LOWEST)
    gathers = window.overlaps or window.output[1] == 6
    return call(
        name,
        "max_pooling2d_gathered" if gathers else "max_pooling2d",
        x,
        to=sized(window.data_format, window.channels, window.output, x),
        sizes=window.sizes,
        onnx=Node("MaxPool", (), window.attributes(len(x.shape))),
    )


@lowers(
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    honours="pool_size strides padding data_format",
)
def average_pooling(layer: Any, x: Value) -> Value:
    """The mean of each window, without padding."""
    x = image(layer, x)
    window = Window.of(layer, x, _pool(layer))
    top, left, bottom, right = window.pads
    inside = np.pad(np.ones((window.height, window.width)), ((top, bottom), (left, right)))
    return averaged(layer.name, window, x, inside)


def averaged(name: str, window: Window, x: Value, inside: np.ndarray) -> Value:
    """The sum of each window, divided by the number of its cells that are 1 in `inside`."""
    if any(window.pads):
        window, x = padded(name, window, x, fill=0.0)
    out = call(
        name,
        "average_pooling2d",
        x,
        to=sized(window.data_format, window.channels, window.output, x),
        sizes=window.sizes,
        onnx=Node("AveragePool", (), window.attributes(len(x.shape))),
    )
    if inside.all():
        return out
    shares = window.shares(inside)
    factors = np.broadcast_to(1 / shares, (window.channels, *shares.shape))
    onnx = Node("Mul", ("X",), {}, (factors.reshape(out.stored).astype(np.float32),))
    row = Constant("factors", factors.reshape(1, -1))
    return call(name, "column_scaled", out, constants=(row,), onnx=onnx)


@lowers(keras.layers.GlobalAveragePooling1D, honours="data_format keepdims", masks=True)
def average_of_steps(layer: keras.layers.GlobalAveragePooling1D, x: Value) -> Value:
    """The mean over steps of each channel, without masked steps."""
    mask, x = x.mask, without(x)
    if mask is None:
        return _of_channels(layer, x)
    first = layer.data_format == "channels_first"
    turned = permuted(x, (1, 0)) if first else x
    regarded = selected(layer.name, turned, mask)
    means = _of_channels(layer, permuted(regarded, (1, 0)) if first else regarded)
    sums = rescaled(layer.name, means, float(mask.size), 0.0)
    onnx = (
        Node("ReduceSum", ("Y",), {"keepdims": 1}, (np.array([-1]),), ("count",)),
        Node("Reshape", ("count",), {}, (np.array([-1, *(1 for _ in sums.stored)]),), ("counts",)),
        Node("Div", ("X", "counts")),
    )
    return call(layer.name, "divided_by_counts", sums, in_keras_order(layer.name, mask), onnx=onnx)


@lowers(*GLOBAL, honours="data_format keepdims")
def global_pooling(layer: Any, x: Value) -> Value:
    """The mean or the maximum of each channel; equal maxima share the gradient, as in
    TensorFlow.
    """
    return _of_channels(layer, x)


def _of_channels(layer: Any, x: Value) -> Value:
    x = image(layer, x)
    channels, rank = x.stored[0], len(x.shape)
    function, operator = GLOBAL.get(type(layer), ("channel_means", "ReduceMean"))
    to = Value.of((channels,), rows=x.rows)
    if layer.keepdims:
        to = sized(layer.data_format, channels, (1,) * (rank - 1), x)
    axes = {"axes": tuple(range(2, rank + 1)), "keepdims": int(layer.keepdims)}
    return call(
        layer.name, function, x, to=to, sizes={"C": channels}, onnx=Node(operator, ("X",), axes)
    )


def _pool(layer: Any) -> tuple[int, ...]:
    size = layer.pool_size
    return (size,) if isinstance(size, int) else tuple(size)
