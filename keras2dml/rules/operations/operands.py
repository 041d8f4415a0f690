"""What operations take: values, and numbers and arrays that are the same for every example."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Shape, Value
from keras2dml.rules import Refusal, call, named
from keras2dml.rules.layouts import broadcast

Operand = Value | np.ndarray


def operands(layer: Any, *arguments: Any) -> tuple[Operand, ...]:
    """Values as they are, and all else as arrays in float64."""
    return tuple(
        argument if isinstance(argument, Value) else array(layer, argument)
        for argument in arguments
    )


def array(layer: Any, numbers: Any) -> np.ndarray:
    """A number, an array or a tensor in float64."""
    if isinstance(numbers, keras.Variable) or hasattr(numbers, "assign"):
        message = (
            f"{named(layer)} takes a variable, which no layer of the model has. Give it an array,"
            " or put the variable into a layer."
        )
        raise Refusal(message)
    matrix = np.asarray(numbers)
    if matrix.dtype.kind not in "fiub" or np.isnan(matrix.astype(np.float64)).any():
        message = f"{named(layer)} takes {numbers!r:.60}. Give it numbers, or a layer's output."
        raise Refusal(message)
    return matrix.astype(np.float64)


def together(layer: Any, *parts: Operand) -> tuple[Value, ...]:
    """The operands as values of the one shape to which theirs broadcast, with their elements in the
    same places.
    """
    arrays, shape = _fitted(layer, parts)
    values = broadcast(layer, *(part for part in parts if isinstance(part, Value)), shape=shape)
    remaining = iter(values)
    return tuple(
        rows(layer, arrays[place], values[0]) if place in arrays else next(remaining)
        for place, _ in enumerate(parts)
    )


def beside(layer: Any, x: Value, numbers: np.ndarray) -> tuple[Value, np.ndarray]:
    """A value in the shape to which it and an array broadcast, and the array without an axis for
    the examples.
    """
    arrays, shape = _fitted(layer, (x, numbers))
    (x,) = broadcast(layer, x, shape=shape)
    return x, arrays[1]


def row_of(numbers: np.ndarray, like: Value) -> np.ndarray:
    """The numbers (1, D) of an array that broadcasts to the shape of `like`, in its order."""
    row: np.ndarray = np.broadcast_to(numbers, like.shape).ravel()[like.order].reshape(1, -1)
    return row


def rows(layer: Any, numbers: np.ndarray, like: Value) -> Value:
    """An array as a value: the same row, of the shape and order of `like`, for every example."""
    row = row_of(numbers, like)
    onnx = (
        Node("Reshape", ("X",), {}, (np.array([0, like.size]),), ("flat",)),
        Node("Gather", ("flat",), {"axis": 1}, (np.array([0]),), ("first",)),
        Node("Less", ("first",), {}, (np.array(-np.inf, np.float32),), ("never",)),
        Node("Cast", ("never",), {"to": 1}, (), ("zeros",)),
        Node("Add", ("zeros",), {}, (row.astype(np.float32),), ("rows",)),
        Node("Reshape", ("rows",), {}, (np.array([0, *like.stored]),)),
    )
    return call(
        layer, "repeated_row", like, constants=(Constant("row", row),), onnx=onnx, constant=True
    )


def _fitted(layer: Any, parts: tuple[Operand, ...]) -> tuple[dict[int, np.ndarray], Shape]:
    """The arrays among operands, by their places, without an axis for the examples, and the shape
    of an example to which all broadcast.
    """
    ranks = {len(part.shape) for part in parts if isinstance(part, Value)}
    rank = max(ranks)
    arrays = {
        place: part[0] if part.ndim == rank + 1 and part.shape[0] == 1 else part
        for place, part in enumerate(parts)
        if not isinstance(part, Value)
    }
    shapes = [arrays.get(place, part).shape for place, part in enumerate(parts)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        shape = ()
    if len(ranks) > 1 or len(shape) != rank:
        message = (
            f"{named(layer)} takes examples of the shapes {' and '.join(map(str, shapes))}. Give it"
            " values of one rank, whose shapes broadcast to that of an example."
        )
        raise Refusal(message)
    return arrays, shape
