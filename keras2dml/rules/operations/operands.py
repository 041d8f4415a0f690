"""The operands of operations: values, and numbers and arrays that are the same for all examples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Shape, Value
from keras2dml.rules import Refusal, call, named
from keras2dml.rules.layouts import broadcast
from keras2dml.rules.operations.batches import is_whole, repeated

Operand = Value | np.ndarray


def operands(layer: Any, *arguments: Any) -> tuple[Operand, ...]:
    """The arguments, with anything other than values as float64 arrays."""
    return tuple(
        argument if isinstance(argument, Value) else array(layer, argument)
        for argument in arguments
    )


def array(layer: Any, numbers: Any) -> np.ndarray:
    """A number, an array or a tensor in float64."""
    if isinstance(numbers, Value):
        message = f"{named(layer)} takes outputs of layers where it needs numbers: give numbers."
        raise Refusal(message)
    if isinstance(numbers, keras.Variable) or hasattr(numbers, "assign"):
        message = (
            f"{named(layer)} takes a variable that no layer of the model has. Give it an array, or"
            " put the variable into a layer."
        )
        raise Refusal(message)
    matrix = np.asarray(numbers)
    if matrix.dtype.kind not in "fiub" or np.isnan(matrix.astype(np.float64)).any():
        message = f"{named(layer)} takes {numbers!r:.60}. Give it numbers, or a layer's output."
        raise Refusal(message)
    return matrix.astype(np.float64)


def together(layer: Any, *parts: Operand) -> tuple[Value, ...]:
    """The operands as values of the shape to which they broadcast, with the same layout."""
    fitted, shape = _fitted(layer, parts)
    values = [part for part in fitted if isinstance(part, Value)]
    of_examples = [value for value in values if not is_whole(value)] or values
    like, *_ = broadcast(layer.name, *of_examples, shape=shape)
    return tuple(
        _placed(layer.name, part, like) if isinstance(part, Value) else rows(layer.name, part, like)
        for part in fitted
    )


def _placed(name: str, x: Value, like: Value) -> Value:
    """A value broadcast to the shape of another one, with its layout."""
    if is_whole(x) and not is_whole(like):
        x = repeated(name, x, like)
    return broadcast(name, like, x, shape=like.shape)[1]


def beside(layer: Any, x: Value, numbers: np.ndarray) -> tuple[Value, np.ndarray]:
    """A value in the shape to which it and an array broadcast, and the array without the axis of
    examples.
    """
    (x, numbers), shape = _fitted(layer, (x, numbers))
    (x,) = broadcast(layer.name, x, shape=shape)
    return x, numbers


def row_of(numbers: np.ndarray, like: Value) -> np.ndarray:
    """The numbers (1, D) of an array that broadcasts to the shape of `like`, in its layout."""
    row: np.ndarray = np.broadcast_to(numbers, like.shape).ravel()[like.order].reshape(1, -1)
    return row


def rows(name: str, numbers: np.ndarray, like: Value) -> Value:
    """An array as a value: the same row for all examples, with the shape and layout of `like`."""
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
        name, "repeated_row", like, constants=(Constant("row", row),), onnx=onnx, constant=True
    )


def _fitted(layer: Any, parts: tuple[Operand, ...]) -> tuple[list[Any], Shape]:
    """The operands, arrays without the axis of examples, and the shape of an example to which all
    broadcast.
    """
    of_examples = [part for part in parts if isinstance(part, Value) and not is_whole(part)]
    kinds = {(len(value.shape), value.rows) for value in of_examples}
    rank = max((rank for rank, _ in kinds), default=None)
    fitted = [
        part if isinstance(part, Value) and not is_whole(part) else _inner(part, rank)
        for part in parts
    ]
    shapes = [part.shape for part in fitted]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        shape = ()
        rank = -1
    if len(kinds) > 1 or (rank is not None and len(shape) != rank):
        message = (
            f"{named(layer)} takes examples of the shapes {' and '.join(map(str, shapes))}. Give it"
            " values of the same rank whose shapes broadcast."
        )
        raise Refusal(message)
    return fitted, shape


def _inner(part: Any, rank: int | None) -> Any:
    """An operand that is the same for all examples, without an axis of size 1 for them."""
    if rank is None or len(part.shape) != rank + 1 or part.shape[0] != 1:
        return part
    return part.seen_as(part.shape[1:], part.stored) if isinstance(part, Value) else part[0]
