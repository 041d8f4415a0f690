"""The check between the passes: a graph that renders is one whose rules do not contradict
themselves.
"""

from __future__ import annotations

import math

import numpy as np

from keras2dml import dml
from keras2dml.errors import InvalidGraph
from keras2dml.graph import Graph, Value


def check(graph: Graph) -> Graph:
    """The same graph; InvalidGraph where a value, a weight or an order does not fit."""
    known = {id(graph.input)}
    names = [graph.input.name]
    _fits(graph.input)
    for call in graph.calls:
        if any(id(value) not in known for value in call.inputs):
            message = (
                f"{call.function} of layer {call.layer!r} reads a value that no call before it"
                " made."
            )
            raise InvalidGraph(message)
        _fits(call.output)
        known.add(id(call.output))
        names.append(call.output.name)
        if call.function != "identity":
            dml.function(f"{call.function}_forward")
        elif call.output.size != call.inputs[0].size:
            message = (
                f"Layer {call.layer!r} renames {call.inputs[0].size} elements to"
                f" {call.output.size}."
            )
            raise InvalidGraph(message)
    for weight in graph.weights():
        names.append(weight.name)
        if math.prod(weight.matrix) != math.prod(weight.shape):
            message = (
                f"Weight {weight.name!r} has shape {weight.shape}, its DML matrix {weight.matrix}."
            )
            raise InvalidGraph(message)
    if len(set(names)) != len(names):
        message = f"Two values or weights of model {graph.name!r} have one name."
        raise InvalidGraph(message)
    return graph


def _fits(value: Value) -> None:
    size = math.prod(value.shape)
    if math.prod(value.stored) != size or not np.array_equal(np.sort(value.order), np.arange(size)):
        message = (
            f"Value {value.name!r} of shape {value.shape} has no order for each of its elements."
        )
        raise InvalidGraph(message)
