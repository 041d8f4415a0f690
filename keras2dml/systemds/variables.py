"""The variables that a script begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras2dml.rendering.forward import Script
from keras2dml.systemds.classes import Classes
from keras2dml.systemds.matrices import Matrix

# How many variables are put at a time.
_PUT = 16


def of(classes: Classes, script: Script, values: Mapping[str, Any]) -> Any:
    """SystemDS' map of the variables with these values: matrices and numbers. Arrays are not put
    into it.
    """
    if (bridge := classes.bridge) is not None:
        items = [
            (name, value.data if isinstance(value, Matrix) else value)
            for name, value in values.items()
            if not isinstance(value, np.ndarray)
        ]
        variables = bridge.variables(listed(script), *_bound(items[:_PUT]))
        for begin in range(_PUT, len(items), _PUT):
            bridge.put(variables, *_bound(items[begin : begin + _PUT]))
        return variables
    variables = classes.variables()
    for name, value in values.items():
        if isinstance(value, Matrix):
            variables.put(name, value.data)
        else:
            variables.put(name, classes.scalars[type(value)](value))
    outputs = classes.names()
    for name in script.outputs:
        outputs.add(name)
    variables.setRegisteredOutputs(outputs)
    return variables


def listed(script: Script) -> str:
    """The names of a script's results, separated by blanks."""
    return " ".join(script.outputs)


def _bound(items: Sequence[tuple[str, Any]]) -> list[Any]:
    """The names of variables, and their data, for a method that takes a fixed number of them."""
    data = [value for _, value in items]
    return [" ".join(name for name, _ in items), *data, *[None] * (_PUT - len(data))]
