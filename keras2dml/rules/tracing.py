"""Traces a user's functions of Keras operations: runs them on symbolic tensors, and lowers them as
models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state

from keras2dml.graph import Value, calls_of
from keras2dml.rules import Refusal
from keras2dml.rules.models import outputs_of

NAMES = "object_name_uids"


def traced(
    function: Callable[..., Any], *values: Value, subject: str, name: str, dtype: str
) -> tuple[Value, ...]:
    """The results of a function of Keras operations for these values.

    `subject` is the beginning of complaints about the function, `name` the name of its operations,
    and `dtype` the type of its input tensors. Raises Refusal for a function that does anything
    other than Keras operations, or something else each time.
    """
    results, again = (_read(function, values, subject, name, dtype) for _ in range(2))
    if _numbers(results) != _numbers(again):
        message = (
            f"{subject}, which uses other numbers each time that it is called. Put random numbers"
            " into layers, such as Dropout or GaussianNoise."
        )
        raise Refusal(message)
    return results


def _read(
    function: Callable[..., Any], values: tuple[Value, ...], subject: str, name: str, dtype: str
) -> tuple[Value, ...]:
    graph = _symbolic(function, values, subject, dtype)
    for operation in graph.operations:
        if isinstance(operation, keras.Layer) and operation.variables:
            message = (
                f"{subject}, which calls the layer {operation.name!r} with variables that the model"
                " does not have: put the layer into the model."
            )
            raise Refusal(message)
        operation.name = name
    try:
        return outputs_of(graph, values)
    except Refusal as refusal:
        raise Refusal(*(f"{subject}: {complaint}" for complaint in refusal.complaints)) from None


def _symbolic(
    function: Callable[..., Any], values: tuple[Value, ...], subject: str, dtype: str
) -> keras.Function:
    with _names_anew():
        inputs = [keras.Input(value.shape, dtype=dtype) for value in values]
        try:
            return keras.Function(inputs, keras.tree.flatten(function(*inputs)))
        except Exception as error:
            reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
            message = (
                f"{subject}, which cannot be traced ({type(error).__name__}: {reason}). It may only"
                " apply keras.ops, operators and slices to its arguments."
            )
            raise Refusal(message) from error


def _numbers(values: tuple[Value, ...]) -> list[object]:
    """The calls that compute these values, with their numbers."""
    return [
        (
            call.function,
            dict(call.sizes),
            [(constant.argument, constant.matrix.tobytes()) for constant in call.constants],
        )
        for call in calls_of(values)
    ]


@contextmanager
def _names_anew() -> Iterator[None]:
    """Number the names of layers and operations from the start; restore the session's numbers at
    the end.
    """
    names = global_state.get_global_attribute(NAMES)
    global_state.set_global_attribute(NAMES, defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(NAMES, names)
