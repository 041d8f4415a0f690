"""The layout of a value's elements: reordering, gathering, and folding into rows.

A rule that needs its input in a certain order gets it here; if it has that order, nothing is done.
"""

from __future__ import annotations

import math
from itertools import permutations
from numbers import Integral
from typing import Any

import numpy as np

from keras2dml.graph import (
    FOLD,
    MAP,
    SIGMOID,
    SOFTMAX,
    UNFOLD,
    Call,
    Constant,
    Node,
    Shape,
    Value,
    source_of,
)
from keras2dml.rules import Refusal, call, named


def arranged(name: str, x: Value, like: Value) -> Value:
    """`x` with its elements in the layout of `like`, which has the same shape."""
    if x.has_order(like.order):
        return x.seen_as(like.shape, like.stored)
    before = _before(x)
    if before is not None and before.has_order(like.order):
        return before.seen_as(like.shape, like.stored)
    columns = x.order.argsort()[like.order]
    to = Value(like.shape, like.stored, like.order, x.rows)
    return gathered(name, x, columns, to)


def _before(x: Value) -> Value | None:
    """The value from which `x` was gathered, if that only reordered columns; else None."""
    if x.source is None or x.source.function != MAP:
        return None
    before, cells = x.source.inputs[0], x.source.constants[0].matrix
    columns, places = cells[:, 0] - 1, np.arange(x.size)
    if before.size != x.size or not np.array_equal(np.sort(columns), places):
        return None
    if not np.array_equal(cells[:, 1] - 1, places) or (cells[:, 2] != 1).any():
        return None
    return before.seen_as(x.shape, x.stored, x.order[columns.argsort()])


def in_keras_order(name: str, x: Value) -> Value:
    """`x` with its elements in the order in which Keras flattens them."""
    return arranged(name, x, Value.of(x.shape))


def permuted(x: Value, axes: Shape) -> Value:
    """Keras' tensor with its axes in another order; no cell moves."""
    shape = tuple(x.shape[axis] for axis in axes)
    places = Value.of(x.shape, axes).order.argsort()
    return x.seen_as(shape, x.stored, places[x.order])


def flipped(x: Value, axis: int) -> Value:
    """Keras' tensor reversed along an axis; no cell moves."""
    return x.seen_as(x.shape, x.stored, np.flip(places(x), axis).ravel()[x.order])


def gathered(name: str, x: Value, columns: np.ndarray, to: Value) -> Value:
    """A value with the layout of `to` whose column j is column `columns[j]` of `x`, from 0."""
    nodes = (
        Node("Reshape", ("X",), {}, (np.array([0, x.size]),), ("flat",)),
        Node("Gather", ("flat",), {"axis": 1}, (np.asarray(columns),), ("picked",)),
        Node("Reshape", ("picked",), {}, (np.array([0, *to.stored]),)),
    )
    cells = np.column_stack([columns, np.arange(to.size), np.ones(to.size)])
    return mapped(name, x, cells, to, nodes)


def mapped(name: str, x: Value, cells: np.ndarray, to: Value, onnx: tuple[Node, ...]) -> Value:
    """A value with the layout of `to` whose columns are weighted sums of columns of `x`.

    Each row of `cells` has a column of `x`, a column of the result, both from 0, and a factor.
    """
    matrix = np.asarray(cells, np.float64) + np.array([1, 1, 0])
    sizes = {"inputs": x.size, "outputs": to.size}
    constant = Constant("S", matrix, "sparse_map", sizes)
    return call(name, MAP, x, to=to, constants=(constant,), onnx=onnx)


def folded(name: str, x: Value, axes: int) -> Value:
    """`x` with its first `axes` axes folded into rows: (N, T, D) as (N * T, D)."""
    x = in_keras_order(name, x)
    shape, factor = x.shape[axes:], math.prod(x.shape[:axes])
    if factor == 1:
        return x.seen_as(shape, shape)
    before = x.source.inputs[0] if x.source and x.source.function == UNFOLD else None
    if before is not None and before.rows == x.rows * factor and before.in_keras_order:
        return before.seen_as(shape, shape)
    node = Node("Reshape", ("X",), {}, (np.array([-1, *shape]),))
    to = Value.of(shape, rows=x.rows * factor)
    return call(name, FOLD, x, to=to, sizes={"factor": factor}, onnx=node)


def unfolded(name: str, x: Value, leading: Shape) -> Value:
    """The inverse of `folded`, for axes of sizes `leading`."""
    x = in_keras_order(name, x)
    shape, factor = (*leading, *x.shape), math.prod(leading)
    if factor == 1:
        return x.seen_as(shape, shape)
    node = Node("Reshape", ("X",), {}, (np.array([-1, *shape]),))
    to = Value.of(shape, rows=x.rows // factor)
    return call(name, UNFOLD, x, to=to, sizes={"factor": factor}, onnx=node)


def vectors(name: str, x: Value, axis: int | Shape = -1) -> Value:
    """Each vector along `axis` as a row; the elements along several axes are one vector."""
    axes = last(x, axis)
    count = len(axes) - _count(axis)
    rows = folded(name, permuted(x, axes), count)
    return rows.seen_as((rows.size,), (rows.size,))


def of_vectors(name: str, rows: Value, x: Value, axis: int | Shape = -1) -> Value:
    """The inverse of `vectors(name, x, axis)`, for its rows or for rows of another size."""
    axes = last(x, axis)
    sizes = tuple(x.shape[place] for place in axes)
    value = unfolded(name, rows, sizes[: len(axes) - _count(axis)])
    if _count(axis) > 1:
        value = value.seen_as(sizes, sizes)
    return permuted(value, tuple(int(place) for place in np.argsort(axes)))


def last(x: Value, axis: int | Shape) -> Shape:
    """The axes of `x` with one axis or several moved to the end."""
    rank = len(x.shape)
    trailing = tuple(place % rank for place in ((axis,) if isinstance(axis, int) else axis))
    return (*(place for place in range(rank) if place not in trailing), *trailing)


def _count(axis: int | Shape) -> int:
    return 1 if isinstance(axis, int) else len(axis)


def axes_of(layer: Any, x: Value, axis: Any) -> Shape:
    """Keras' `axis`, one number or several, as axes of an example in ascending order."""
    axes = (axis,) if isinstance(axis, Integral) else tuple(axis)
    rank = len(x.shape) + 1
    if any(number % rank == 0 for number in axes):
        message = f"{named(layer)} has axis={axis!r}, but axis 0 is the examples. Give other axes."
        raise Refusal(message)
    return tuple(sorted(int(number) % rank - 1 for number in axes))


def spread(name: str, x: Value, shape: Shape, like: Value | None = None) -> Value:
    """`x` broadcast to `shape`, as in numpy, with the layout of `like`."""
    places = np.broadcast_to(np.arange(x.size).reshape(x.shape), shape)
    to = Value.of(shape) if like is None else like
    return gathered(name, x, x.order.argsort()[places.ravel()[to.order]], _alone(to, x.rows))


def broadcast(name: str, *values: Value, shape: Shape) -> tuple[Value, ...]:
    """Values of the same rank broadcast to `shape`, with the layout of the first that has this
    shape already.
    """
    like = next((value for value in values if value.shape == shape), None)
    if like is None:
        like = spread(name, values[0], shape)
        values = (like, *values[1:])
    return tuple(
        arranged(name, value, like) if value.shape == shape else spread(name, value, shape, like)
        for value in values
    )


def picked(name: str, x: Value, places: np.ndarray) -> Value:
    """The elements of `x` at these places of Keras' flattened example; 0 for place -1."""
    to = Value.of(places.shape, _axes(x) if places.ndim == len(x.shape) else None, x.rows)
    sources = places.ravel()[to.order]
    targets = np.flatnonzero(sources >= 0)
    cells = np.column_stack([x.order.argsort()[sources[targets]], targets, np.ones(targets.size)])
    columns = np.full(to.size, x.size)
    columns[targets] = cells[:, 0]
    onnx = (
        Node("Reshape", ("X",), {}, (np.array([0, x.size]),), ("flat",)),
        Node("Pad", ("flat",), {}, (np.array([0, 0, 0, 1]), np.array(0, np.float32)), ("longer",)),
        Node("Gather", ("longer",), {"axis": 1}, (columns,), ("found",)),
        Node("Reshape", ("found",), {}, (np.array([0, *to.stored]),)),
    )
    return mapped(name, x, cells, to, onnx)


def places(x: Value) -> np.ndarray:
    """The place of each element in Keras' flattened example, in Keras' shape."""
    return np.arange(x.size).reshape(x.shape)


def _axes(x: Value) -> Shape | None:
    """The order of Keras' axes in which `x` is stored, if it is a permutation of axes."""
    orders = permutations(range(len(x.shape)))
    return next((axes for axes in orders if x.has_order(Value.of(x.shape, axes).order)), None)


def _alone(value: Value, rows: int) -> Value:
    return Value(value.shape, value.stored, value.order, rows)


def squashed_by(output: Value) -> Call | None:
    """The call of softmax or sigmoid whose elements a value has, in any order; else None."""
    last = source_of(output)
    if last.function == UNFOLD:
        last = source_of(last.inputs[0])
    return last if last.function in (SOFTMAX, SIGMOID) else None


def logits_of(output: Value) -> Value | None:
    """The input of the sigmoid, or of the softmax along the last axis, that computes exactly this
    value: Keras uses it as logits. If each vector is a row, the result has those rows.
    """
    activation = squashed_by(output)
    if activation is None:
        return None
    last, before = source_of(output), activation.inputs[0]
    if last is activation:
        same = output.shape == before.shape and output.has_order(before.order)
    else:
        same = output.shape == last.results["out"] and output.in_keras_order
        same = same and before.size == output.shape[-1]
    return before if same else None
