"""Values of a whole batch, which losses and metrics may have, but models may not.

Such a value has one row for all examples, for which its shape has no axis; its `rows` are -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from keras.src.ops import numpy as operations

from keras2dml.graph import Shape, Value
from keras2dml.rules import Refusal, call, named
from keras2dml.rules.layouts import folded

OF_BATCHES = {
    operations.Sum: "sums",
    operations.Mean: "means",
    operations.Max: "maxima",
    operations.Amax: "maxima",
    operations.Min: "minima",
    operations.Amin: "minima",
}
"""Keras operations that may go over the examples: the names of their functions."""
_ALLOWED: ContextVar[bool] = ContextVar("whole_batches", default=False)


@contextmanager
def whole_batches() -> Iterator[None]:
    """Allow operations over the examples while the body runs, as in losses and metrics."""
    token = _ALLOWED.set(True)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def are_whole_batches() -> bool:
    """Whether operations over the examples are allowed now."""
    return _ALLOWED.get()


def is_whole(value: Any) -> bool:
    """Whether a value is that of a whole batch."""
    return isinstance(value, Value) and value.rows < 0


def check_examples(layer: Any, *values: Any) -> None:
    """Raise Refusal for values of a whole batch."""
    if any(is_whole(value) for value in values):
        message = (
            f"{named(layer)} takes a value of a whole batch. Only elementwise operations, sums,"
            " means, maxima and minima of such values are compiled: use these."
        )
        raise Refusal(message)


def spans(x: Value, axis: Any) -> bool:
    """Whether an operation goes over the examples, and is allowed to."""
    if is_whole(x) or not _ALLOWED.get():
        return False
    return axis is None or any(number % (len(x.shape) + 1) == 0 for number in _listed(axis))


def axes_of_whole(x: Value, axis: Any) -> Shape:
    """The axes of a value of a whole batch along which an operation goes."""
    rank = len(x.shape)
    return (
        tuple(range(rank))
        if axis is None
        else tuple(sorted(number % rank for number in _listed(axis)))
    )


def inner_axes(x: Value, axis: Any) -> Shape:
    """The axes of an example among the axes along which an operation goes."""
    rank = len(x.shape)
    if axis is None:
        return tuple(range(rank))
    return tuple(sorted(number % (rank + 1) - 1 for number in _listed(axis) if number % (rank + 1)))


def over_examples(name: str, function: str, x: Value) -> Value:
    """A function of each column over all examples."""
    return call(name, f"column_{function}", x, to=replace(x, rows=-1))


def flattened(name: str, x: Value, shape: Shape) -> Value | None:
    """A value with the first axes of an example merged into the examples; None for another shape,
    or if that is not allowed.
    """
    if not _ALLOWED.get() or is_whole(x) or shape[:1] != (-1,):
        return None
    inner = shape[1:]
    leading = len(x.shape) - len(inner)
    if leading < 1 or x.shape[leading:] != inner or np.prod(x.shape[:leading]) == 1:
        return None
    return folded(name, x, leading)


def repeated(name: str, x: Value, like: Value) -> Value:
    """A value of a whole batch repeated for each example of `like`, with its rank."""
    shape = (*(1 for _ in like.shape[len(x.shape) :]), *x.shape)
    rows = call(name, "repeated_over_examples", x, like, to=replace(x, rows=like.rows))
    return rows.seen_as(shape, rows.stored)


def _listed(axis: Any) -> tuple[int, ...]:
    return (int(axis),) if isinstance(axis, Integral) else tuple(axis)
