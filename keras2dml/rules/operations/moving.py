"""Operations that move, repeat or drop elements.

To find out where each element goes, the Keras operation is run on examples whose elements are the
numbers of their places.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import keras
import numpy as np
from keras.src.ops import core, einops, nn
from keras.src.ops import numpy as operations

from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowers, named
from keras2dml.rules.layouts import picked, places
from keras2dml.rules.merging import joined
from keras2dml.rules.operations.arithmetic import scaled
from keras2dml.rules.operations.batches import check_examples, flattened
from keras2dml.rules.operations.operands import array

MOVING = (
    operations.Copy,
    operations.Diagonal,
    operations.ExpandDims,
    operations.Flip,
    operations.Fliplr,
    operations.GetItem,
    operations.Moveaxis,
    operations.Repeat,
    operations.Reshape,
    operations.Roll,
    operations.Rot90,
    operations.Split,
    operations.ArraySplit,
    operations.Hsplit,
    operations.Squeeze,
    operations.Swapaxes,
    operations.Take,
    operations.Tile,
    operations.Transpose,
    operations.Tril,
    operations.Triu,
    core.Unstack,
    einops.Rearrange,
    nn.DepthToSpace,
    nn.SpaceToDepth,
)
ALONG = (
    operations.ArraySplit,
    operations.Flip,
    operations.Repeat,
    operations.Roll,
    operations.Split,
    operations.Take,
    core.Unstack,
)
COUNTS = (5, 7)
"""Numbers of examples on which an operation is run: its result for an example must not depend on
that."""


@lowers(*MOVING)
def moved(layer: Any, x: Value, *arguments: Any, **keywords: Any) -> tuple[Value, ...]:
    """The elements of an example, moved, repeated or dropped."""
    if isinstance(layer, operations.Reshape):
        among_examples = flattened(layer.name, x, _sizes(layer.newshape))
        if among_examples is not None:
            return (among_examples,)
    return tuple(moved_to(layer.name, x, part) for part in _places(layer, x, arguments, keywords))


@lowers(operations.Ravel)
def raveled(layer: Any, x: Value) -> Value:
    """All elements of all examples, in a batch of numbers."""
    among_examples = flattened(layer.name, x, (-1,))
    if among_examples is not None:
        return among_examples
    if x.shape:
        raise Refusal(_changes_examples(layer))
    return x


@lowers(operations.Pad)
def padded(layer: Any, x: Value, constant_values: Any = None) -> Value:
    """The elements with padding: a number, or some of the elements."""
    (part,) = _places(layer, x, (), {})
    out = moved_to(layer.name, x, part)
    if constant_values is None:
        return out
    number = array(layer, constant_values)
    return scaled(layer, out, np.array(1.0), np.where(part < 0, number, 0.0))


@lowers(operations.Concatenate, operations.Append)
def concatenated(layer: Any, *inputs: Any) -> Value:
    """The inputs concatenated along an axis."""
    values = _values(layer, inputs)
    return _joined(layer.name, values, _axis(layer, layer.axis, len(values[0].shape)))


@lowers(operations.Hstack)
def side_by_side(layer: Any, *inputs: Any) -> Value:
    """The inputs concatenated along the first axis of an example."""
    values = _values(layer, inputs)
    return _joined(
        layer.name, values, _axis(layer, min(1, len(values[0].shape)), len(values[0].shape))
    )


@lowers(operations.Stack)
def stacked(layer: Any, *inputs: Any) -> Value:
    """The inputs stacked along a new axis."""
    values = _values(layer, inputs)
    axis = _axis(layer, layer.axis, len(values[0].shape) + 1)
    shapes = ((*value.shape[:axis], 1, *value.shape[axis:]) for value in values)
    parts = [
        value.seen_as(shape, value.stored) for value, shape in zip(values, shapes, strict=True)
    ]
    return _joined(layer.name, parts, axis)


def moved_to(name: str, x: Value, to: np.ndarray) -> Value:
    """The elements of `x` at these places of Keras' flattened example; 0 for place -1. If each
    place occurs exactly once, no cell moves.
    """
    flat = to.ravel()
    if flat.size != x.size or not np.array_equal(np.sort(flat), np.arange(x.size)):
        return picked(name, x, to)
    return x.seen_as(to.shape, x.stored, flat.argsort()[x.order])


def _places(layer: Any, x: Value, arguments: Any, keywords: Any) -> list[np.ndarray]:
    """For each result of an operation the places in `x` of its elements, in the shape of an
    example; -1 for elements that are not from `x`.
    """
    if any(isinstance(part, Value) for part in keras.tree.flatten((arguments, keywords))):
        message = f"{named(layer)} takes indices that layers compute. Give it numbers."
        raise Refusal(message)
    check_examples(layer, x)
    _check_axes(layer, x, *arguments)
    parts = [_of_examples(layer, x, count, arguments, keywords) for count in COUNTS]
    for few, more in zip(*parts, strict=True):
        if few.shape != more.shape or not np.array_equal(few, more):
            raise Refusal(_changes_examples(layer))
    return parts[0]


def _of_examples(
    layer: Any, x: Value, count: int, arguments: Any, keywords: Any
) -> list[np.ndarray]:
    """The places from which an operation takes the elements of the first of `count` examples, if it
    treats all examples the same.
    """
    numbers = places(x) + 1 + x.size * np.arange(count).reshape(-1, *(1 for _ in x.shape))
    examples = keras.ops.convert_to_tensor(numbers, "float64")
    try:
        results = keras.tree.flatten(layer.call(examples, *arguments, **keywords))
    except Exception as error:
        raise Refusal(_changes_examples(layer)) from error
    parts = [np.asarray(result).astype(int) for result in results]
    for part in parts:
        if part.shape[0] and not part.size:
            message = (
                f"{named(layer)} leaves nothing of an example: its shape is {part.shape[1:]}. Give"
                " it indices that select elements."
            )
            raise Refusal(message)
        if part.shape[:1] != (count,):
            raise Refusal(_changes_examples(layer))
        begin = x.size * np.arange(count).reshape(-1, *(1 for _ in part.shape[1:]))
        if (
            not np.array_equal(part, np.where(part[0] > 0, part[0] + begin, 0))
            or part[0].max() > x.size
        ):
            raise Refusal(_changes_examples(layer))
    return [part[0] - 1 for part in parts]


def _check_axes(layer: Any, x: Value, *arguments: Any) -> None:
    """Raise Refusal for an operation along the axis of the examples."""
    if isinstance(layer, operations.GetItem):
        key = arguments[0] if isinstance(arguments[0], tuple) else (arguments[0],)
        spans = {(None, None, None), (0, None, None), (None, None, 1), (0, None, 1)}
        first = key[0] if key else ...
        whole = isinstance(first, slice) and (first.start, first.stop, first.step) in spans
        if not whole and first is not ...:
            raise Refusal(_changes_examples(layer))
    elif isinstance(layer, operations.Squeeze) and layer.axis is None:
        message = f"{named(layer)} has no axis, so it also squeezes a batch of one. Give it axes."
        raise Refusal(message)
    elif isinstance(layer, ALONG):
        axes = layer.axis if isinstance(layer.axis, (list, tuple)) else (layer.axis,)
        if any(axis is None or axis % (len(x.shape) + 1) == 0 for axis in axes):
            raise Refusal(_changes_examples(layer))


def _changes_examples(layer: Any) -> str:
    return (
        f"{named(layer)} splits, moves or counts the examples, the first axis. Leave that axis"
        " unchanged: give ':' for it in a slice, -1 in a shape, and other axes."
    )


def _values(layer: Any, inputs: Any) -> list[Value]:
    """The inputs, all of them values."""
    if not all(isinstance(part, Value) for part in inputs):
        message = (
            f"{named(layer)} takes an array besides the outputs of layers. Give it only outputs."
        )
        raise Refusal(message)
    check_examples(layer, *inputs)
    return list(inputs)


def _axis(layer: Any, axis: int | None, rank: int) -> int:
    """The axis of an example for Keras' axis, which counts `rank` axes and that of the examples."""
    if axis is None or axis % (rank + 1) == 0:
        raise Refusal(_changes_examples(layer))
    return axis % (rank + 1) - 1


def _sizes(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _joined(name: str, values: list[Value], axis: int) -> Value:
    return reduce(lambda x, y: joined(name, x, y, axis), values)
