"""The check of a graph between lowering and rendering, which finds contradictory rules."""

from __future__ import annotations

import math

import numpy as np

from keras2dml.dml import syntax
from keras2dml.errors import InvalidGraph
from keras2dml.graph import IDENTITY, Call, Graph, Value, source_of


def check(graph: Graph) -> Graph:
    """The same graph; raises InvalidGraph if a value, a weight or an order does not fit."""
    makers = {source_of(value) for value in graph.inputs}
    for value in graph.inputs:
        _check_value(value, graph.input_name(value))
    for call in graph.calls:
        for value in call.inputs:
            _check_value(value, f"of {call.layer}")
            if source_of(value) not in makers:
                message = (
                    f"{call.function} of layer {call.layer!r} reads a value that no call before it"
                    " made."
                )
                raise InvalidGraph(message)
        makers.add(call)
        _check_function(call)
    for value in graph.outputs:
        _check_value(value, "an output")
        if value.rows != 1:
            message = f"An output of model {graph.name!r} has {value.rows} rows for each example."
            raise InvalidGraph(message)
    for parameter in graph.parameters:
        weight = parameter.weight
        if math.prod(weight.matrix) != math.prod(weight.shape):
            message = (
                f"Weight {parameter.name!r} has shape {weight.shape}, its DML matrix"
                f" {weight.matrix}."
            )
            raise InvalidGraph(message)
    return graph


def _check_function(call: Call) -> None:
    """Raise InvalidGraph for a function that the library lacks."""
    for function in {call.function, call.training or call.function} - {IDENTITY}:
        syntax.function(f"{function}_forward")


def _check_value(value: Value, name: str) -> None:
    size = math.prod(value.shape)
    if math.prod(value.stored) != size or not np.array_equal(np.sort(value.order), np.arange(size)):
        message = f"Value {name!r} of shape {value.shape} has no order for each of its elements."
        raise InvalidGraph(message)
