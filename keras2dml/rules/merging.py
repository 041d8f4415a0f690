"""Merging layers: elementwise functions of values, and their concatenation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import keras
import numpy as np

from keras2dml.graph import ADD, Node, Value
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.layouts import broadcast
from keras2dml.rules.masks import either, without
from keras2dml.traits import KINK, Trait

# Keras' layer: the DML function of two values and the ONNX operator.
ELEMENTWISE = {
    keras.layers.Add: (ADD, "Add"),
    keras.layers.Average: (ADD, "Add"),
    keras.layers.Subtract: ("subtract", "Sub"),
    keras.layers.Multiply: ("multiply", "Mul"),
    keras.layers.Maximum: ("maximum", "Max"),
    keras.layers.Minimum: ("minimum", "Min"),
}
BOUNDS = (keras.layers.Maximum, keras.layers.Minimum)
UNMASKED = (keras.layers.Multiply, *BOUNDS)
"""The layers that leave out what masks do not regard."""


@lowers(*ELEMENTWISE, masks=True)
def merged(layer: Any, *inputs: Value) -> Value:
    """An elementwise function of all inputs, pair by pair; axes of size 1 are broadcast. The mask
    of the result is the union of the inputs' masks.
    """
    if any(value.mask for value in inputs) and isinstance(layer, UNMASKED):
        message = (
            f"{named(layer)} gets masks, and ignores masked steps. It is only compiled without:"
            " leave Masking or mask_zero out, or use Add."
        )
        raise Refusal(message)
    masks = _either(layer.name, inputs)
    inputs = tuple(without(value) for value in inputs)
    return _merged(layer, *inputs).with_masks(*masks)


def _merged(layer: Any, *inputs: Value) -> Value:
    function, operator = ELEMENTWISE[type(layer)]
    traits = KINK if isinstance(layer, BOUNDS) else frozenset[Trait]()
    out = reduce(lambda x, y: pairwise(layer, x, y, function, operator, traits), inputs)
    if isinstance(layer, keras.layers.Average):
        return rescaled(layer.name, out, 1 / len(inputs), 0.0)
    return out


def rescaled(name: str, x: Value, scale: float, offset: float) -> Value:
    """All elements times `scale`, plus `offset`."""
    onnx = (
        Node("Mul", ("X",), {}, (np.array(scale, np.float32),), ("scaled",)),
        Node("Add", ("scaled",), {}, (np.array(offset, np.float32),)),
    )
    return call(name, "rescaled", x, sizes={"scale": scale, "offset": offset}, onnx=onnx)


def _either(name: str, inputs: tuple[Value, ...]) -> tuple[Value | None, Value | None]:
    """The unions of the inputs' attached masks and of their recorded masks."""
    attached, recorded = [value.mask for value in inputs], [value.recorded for value in inputs]
    together = either(name, attached)
    return together, together if attached == recorded else either(name, recorded)


@lowers(keras.layers.Concatenate, honours="axis", partly="axis", masks=True)
def concatenated(layer: keras.layers.Concatenate, *inputs: Value) -> Value:
    """The columns of all inputs side by side: no element moves, whatever the axis, since the result
    knows the place of each of its elements.
    """
    if layer.axis % (len(inputs[0].shape) + 1) == 0:
        message = f"{named(layer)} has axis={layer.axis}, the examples. Give another axis."
        raise Refusal(message)
    axis = (layer.axis if layer.axis < 0 else layer.axis - 1) % len(inputs[0].shape)
    if any(value.mask for value in inputs) and axis != len(inputs[0].shape) - 1:
        message = (
            f"{named(layer)} gets masks, and concatenates them along axis={layer.axis}. It is only"
            " compiled without: leave Masking or mask_zero out, or put it after this layer."
        )
        raise Refusal(message)
    masks = _either(layer.name, inputs)
    inputs = tuple(without(value) for value in inputs)
    return reduce(lambda x, y: joined(layer.name, x, y, axis), inputs).with_masks(*masks)


def joined(name: str, x: Value, y: Value, axis: int) -> Value:
    """The columns of `x`, then those of `y`, as one value along an axis of the example."""
    sizes = x.shape[axis], y.shape[axis]
    shape = (*x.shape[:axis], sum(sizes), *x.shape[axis + 1 :])
    parts = np.split(np.arange(np.prod(shape)).reshape(shape), [sizes[0]], axis)
    order = np.concatenate(
        [part.ravel()[value.order] for part, value in zip(parts, (x, y), strict=True)]
    )
    flat = [value.seen_as(value.shape, (value.size,)) for value in (x, y)]
    to = Value(shape, (order.size,), order, x.rows)
    return call(name, "concatenate", *flat, to=to, onnx=Node("Concat", (), {"axis": 1}))


def pairwise(
    layer: Any, x: Value, y: Value, function: str, operator: str, traits: Iterable[Trait] = ()
) -> Value:
    """An elementwise function of two values whose shapes are equal or broadcast."""
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        shape = ()
    if len(x.shape) != len(y.shape) or not shape:
        message = f"{named(layer)} gets the shapes {x.shape} and {y.shape}. They must be equal."
        raise Refusal(message)
    x, y = broadcast(layer.name, x, y, shape=shape)
    return call(layer.name, function, x, y, onnx=Node(operator), traits=traits)
