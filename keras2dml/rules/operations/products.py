"""Products of matrices and tensors, as sums of products over named axes."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from keras.src.ops import numpy as operations

from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowers, named
from keras2dml.rules.merging import rescaled
from keras2dml.rules.operations.batches import check_examples
from keras2dml.rules.operations.operands import Operand, operands
from keras2dml.rules.operations.sums import Axes, summed

ROW, SUM, COLUMN = "rsc"
LETTERS = tuple(string.ascii_uppercase)


@lowers(operations.Matmul)
def matmul(layer: Any, x1: Any, x2: Any) -> Value:
    """The matrix product over the last two axes, for each element along the axes before them."""
    x, y = operands(layer, x1, x2)
    ranks = [_rank(operand) for operand in (x, y)]
    leading = LETTERS[: max(*ranks, 2) - 2]
    last = ((ROW, SUM) if ranks[0] > 1 else (SUM,), (SUM, COLUMN) if ranks[1] > 1 else (SUM,))
    names = [
        (*leading[len(leading) - max(rank - 2, 0) :], *ends)
        for rank, ends in zip(ranks, last, strict=True)
    ]
    out = (*leading, *last[0][:-1], *last[1][1:])
    return _product(layer, [*zip(names, (x, y), strict=True)], out)


@lowers(operations.Dot)
def dot(layer: Any, x1: Any, x2: Any) -> Value:
    """The product summed over the last axis of a value and the second to last axis of an array."""
    x, y = operands(layer, x1, x2)
    if isinstance(y, Value) and not x.shape:
        x, y = y, x
    if isinstance(x, Value) and not isinstance(y, Value) and y.ndim == 0:
        return rescaled(layer.name, x, float(y), 0.0)
    rank = _rank(y)
    return _of_tensors(layer, x, y, ((_rank(x) - 1,), (max(rank - 2, 0),)))


@lowers(operations.Tensordot)
def tensordot(layer: Any, x1: Any, x2: Any) -> Value:
    """The product of a value and an array, summed over some of their axes."""
    x, y = operands(layer, x1, x2)
    axes = layer.axes
    if isinstance(axes, int):
        axes = range(_rank(x) - axes, _rank(x)), range(axes)
    pairs = [(part,) if isinstance(part, int) else tuple(part) for part in axes]
    return _of_tensors(layer, x, y, (pairs[0], pairs[1]))


@lowers(operations.Einsum)
def einsum(layer: Any, *inputs: Any) -> Value:
    """The sums of products by Einstein notation."""
    values = operands(layer, *inputs)
    terms, arrow, out = layer.subscripts.replace(" ", "").partition("->")
    parts = terms.split(",")
    surplus = [
        _rank(value) - len(part.replace("...", ""))
        for part, value in zip(parts, values, strict=True)
    ]
    unused = [letter for letter in string.ascii_letters if letter not in layer.subscripts]
    hidden = "".join(unused[: max(0, *surplus)])
    if not arrow:
        letters = "".join(parts).replace(".", "")
        once = sorted(letter for letter in {*letters} if letters.count(letter) == 1)
        out = ("..." if hidden else "") + "".join(once)
    names = [
        tuple(part.replace("...", hidden[len(hidden) - count :]))
        for part, count in zip(parts, surplus, strict=True)
    ]
    return _product(layer, [*zip(names, values, strict=True)], tuple(out.replace("...", hidden)))


def _of_tensors(
    layer: Any, x: Operand, y: Operand, axes: tuple[Sequence[int], Sequence[int]]
) -> Value:
    """The product summed over pairs of axes; the result has the other axes of the first operand,
    then those of the second.
    """
    mine = list(string.ascii_lowercase[: _rank(x)])
    theirs = list(string.ascii_uppercase[: _rank(y)])
    added = []
    for axis, other in zip(*axes, strict=True):
        added.append(mine[axis])
        theirs[other] = mine[axis]
    out = tuple(name for name in (*mine, *theirs) if name not in added)
    if isinstance(x, Value) and isinstance(y, Value):
        raise Refusal(_across(layer))
    return _product(layer, [(tuple(mine), x), (tuple(theirs), y)], out)


def _product(layer: Any, terms: Sequence[tuple[Axes, Operand]], out: Axes) -> Value:
    """The products summed over the axes that are not in `out`; only the first axis of values is
    that of the examples.
    """
    check_examples(layer, *(operand for _, operand in terms))
    examples = next(names[0] for names, operand in terms if isinstance(operand, Value))
    parts = [_of_example(layer, names, operand, examples) for names, operand in terms]
    inside = {name for names, _ in parts for name in names}
    if out[:1] != (examples,) or examples in inside | {*out[1:]}:
        raise Refusal(_across(layer))
    sizes = [dict(zip(names, operand.shape, strict=True)) for names, operand in parts]
    largest = {name: max(part.get(name, 1) for part in sizes) for part in sizes for name in part}
    if any(size not in (1, largest[name]) for part in sizes for name, size in part.items()):
        raise Refusal(_across(layer))
    return summed(layer, [_without_ones(*part, largest) for part in parts], out[1:])


def _of_example(layer: Any, names: Axes, operand: Operand, examples: str) -> tuple[Axes, Operand]:
    """An operand without the axis of examples."""
    if len({*names}) < len(names):
        raise Refusal(_across(layer))
    if isinstance(operand, Value):
        if names[0] != examples:
            raise Refusal(_across(layer))
        return names[1:], operand
    if examples not in names:
        return names, operand
    place = names.index(examples)
    if operand.shape[place] != 1:
        raise Refusal(_across(layer))
    return (*names[:place], *names[place + 1 :]), operand.squeeze(place)


def _without_ones(names: Axes, x: Any, sizes: dict[str, int]) -> tuple[Axes, Any]:
    """An operand without the axes of size 1 along which it is broadcast."""
    axes = tuple(axis for axis, name in enumerate(names) if x.shape[axis] == sizes[name])
    shape = tuple(x.shape[axis] for axis in axes)
    squeezed = x.seen_as(shape, x.stored) if isinstance(x, Value) else x.reshape(shape)
    return tuple(names[axis] for axis in axes), squeezed


def _rank(operand: Operand) -> int:
    """The number of axes, including that of a value's examples."""
    return len(operand.shape) + isinstance(operand, Value)


def _across(layer: Any) -> str:
    return (
        f"{named(layer)} multiplies examples with each other, or has axes that do not fit. The"
        " first axis of values and of the result must be the examples, arrays must not have that"
        " axis, and each axis must be named once."
    )
