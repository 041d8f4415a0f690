"""Sums of products over named axes, as in einsum, of values and of arrays that are the same for all
examples.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras2dml.graph import Constant, Node, Shape, Value
from keras2dml.rules import call
from keras2dml.rules.layouts import folded, in_keras_order, mapped, permuted, unfolded
from keras2dml.rules.merging import pairwise
from keras2dml.rules.operations.operands import Operand
from keras2dml.rules.operations.reductions import total
from keras2dml.rules.products import product

Axes = tuple[str, ...]
"""The names of an operand's axes, one letter each, without the axis of examples."""


def summed(layer: Any, terms: Sequence[tuple[Axes, Operand]], out: Axes) -> Value:
    """The product of the operands, summed over all axes that are not in `out`; at least one operand
    is a value.
    """
    names, product_so_far = terms[0]
    for place, (others, operand) in enumerate(terms[1:], 2):
        needed = {*out, *(name for later, _ in terms[place:] for name in later)}
        rest = tuple(name for name in dict.fromkeys((*names, *others)) if name in needed)
        product_so_far = _of_two(layer, (names, product_so_far), (others, operand), rest)
        names = rest
    names, sums = _without(layer, names, product_so_far, {*out})
    result: Value = _ordered(names, sums, out)
    return result


def _of_two(
    layer: Any, first: tuple[Axes, Operand], second: tuple[Axes, Operand], out: Axes
) -> Operand:
    """The sum of products of two operands."""
    if not isinstance(first[1], Value):
        first, second = second, first
    names, x = _without(layer, *first, {*second[0], *out})
    others, y = _without(layer, *second, {*names, *out})
    if not isinstance(x, Value):
        array: np.ndarray = np.einsum(
            f"{''.join(names)},{''.join(others)}->{''.join(out)}", x, np.asarray(y)
        )
        return array
    if not isinstance(y, Value):
        shared = any(name in others and name in out for name in names)
        by = _by_map if shared else _by_matrix
        return by(layer.name, names, x, others, y, out)
    added = tuple(name for name in names if name in others and name not in out)
    if not added:
        left, right = _broadcast(names, x, out), _broadcast(others, y, out)
        return pairwise(layer, left, right, "multiply", "Mul")
    return _of_values(layer.name, (names, x), (others, y), added, out)


def _of_values(
    layer: str, first: tuple[Axes, Value], second: tuple[Axes, Value], added: Axes, out: Axes
) -> Value:
    """A matrix product for each element along the axes that both values and the result have."""
    (names, x), (others, y) = first, second
    along = tuple(name for name in out if name in names and name in others)
    mine = tuple(name for name in names if name not in others)
    theirs = tuple(name for name in others if name not in names)
    sizes = _sizes(first, second)
    left = _matrices(layer, _ordered(names, x, (*along, *mine, *added)), len(along), len(added))
    right = _matrices(layer, _ordered(others, y, (*along, *theirs, *added)), len(along), len(added))
    products = unfolded(layer, product(layer, left, right), _shape(along, sizes))
    order = (*along, *mine, *theirs)
    shape = _shape(order, sizes)
    result: Value = _ordered(order, products.seen_as(shape, shape), out)
    return result


def _by_matrix(layer: str, names: Axes, x: Value, others: Axes, y: np.ndarray, out: Axes) -> Value:
    """Rows of a value times a matrix; the result has no axis that both have."""
    mine = tuple(name for name in names if name not in others)
    added = tuple(name for name in names if name in others)
    theirs = tuple(name for name in others if name not in names)
    sizes = _sizes((names, x), (others, y))
    count = math.prod(_shape(added, sizes))
    rows = folded(layer, _ordered(names, x, (*mine, *added)), len(mine)).seen_as((count,), (count,))
    matrix = _ordered(others, y, (*added, *theirs)).reshape(count, -1)
    products = call(
        layer,
        "matrix_product",
        rows,
        to=Value.of((matrix.shape[1],), rows=rows.rows),
        constants=(Constant("M", matrix),),
        onnx=Node("MatMul", ("X",), {}, (matrix.astype(np.float32),)),
    )
    products = unfolded(layer, products, _shape(mine, sizes))
    shape = _shape((*mine, *theirs), sizes)
    result: Value = _ordered((*mine, *theirs), products.seen_as(shape, shape), out)
    return result


def _by_map(layer: str, names: Axes, x: Value, others: Axes, y: np.ndarray, out: Axes) -> Value:
    """Sums of elements of a value times elements of an array, as a map of columns."""
    x = in_keras_order(layer, x)
    x = x.seen_as(x.shape, x.shape)
    sizes = _sizes((names, x), (others, y))
    order = tuple(sizes)
    grid = dict(zip(order, np.indices(_shape(order, sizes)).reshape(len(order), -1), strict=True))
    to = Value.of(_shape(out, sizes), rows=x.rows)
    columns, results = (
        np.ravel_multi_index([grid[name] for name in part], shape)
        for part, shape in ((names, x.shape), (out, to.shape))
    )
    cells = np.column_stack([columns, results, y[tuple(grid[name] for name in others)]])
    letter = next(letter for letter in string.ascii_lowercase if letter not in sizes)
    parts = f"{letter}{''.join(names)}", "".join(others), f"{letter}{''.join(out)}"
    equation = {"equation": "{},{}->{}".format(*parts)}
    return mapped(layer, x, cells, to, (Node("Einsum", ("X",), equation, (y.astype(np.float32),)),))


def _without(layer: Any, names: Axes, x: Operand, needed: set[str]) -> tuple[Axes, Operand]:
    """An operand summed over all axes that are not needed."""
    over = tuple(axis for axis, name in enumerate(names) if name not in needed)
    rest = tuple(name for name in names if name in needed)
    if not over:
        return names, x
    return rest, total(layer, x, over) if isinstance(x, Value) else x.sum(over)


def _ordered(names: Axes, x: Any, order: Axes) -> Any:
    """An operand with its axes in another order."""
    axes = tuple(names.index(name) for name in order)
    return permuted(x, axes) if isinstance(x, Value) else x.transpose(axes)


def _broadcast(names: Axes, x: Value, out: Axes) -> Value:
    """A value with the axes of `out`; those that it lacks have size 1."""
    x = _ordered(names, x, tuple(name for name in out if name in names))
    remaining = iter(x.shape)
    shape = tuple(next(remaining) if name in names else 1 for name in out)
    return x.seen_as(shape, x.stored)


def _matrices(name: str, x: Value, along: int, added: int) -> Value:
    """A matrix (A, K) for each element along the first axes; K is the size of the last axes."""
    rows = folded(name, x, along)
    count = math.prod(rows.shape[len(rows.shape) - added :])
    shape = (rows.size // count, count)
    return rows.seen_as(shape, shape)


def _sizes(*operands: tuple[Axes, Operand]) -> dict[str, int]:
    return {
        name: size
        for names, operand in operands
        for name, size in zip(names, operand.shape, strict=True)
    }


def _shape(names: Axes, sizes: dict[str, int]) -> Shape:
    return tuple(sizes[name] for name in names)
