"""Merging layers: elementwise functions of several values, and their concatenation."""

from __future__ import annotations

from functools import reduce
from typing import Any

import keras

from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.layouts import aligned

# Keras' layer: the DML function of two values and the ONNX operator.
ELEMENTWISE = {
    keras.layers.Add: ("add", "Add"),
    keras.layers.Multiply: ("multiply", "Mul"),
}


@lowers(*ELEMENTWISE)
def merged(layer: Any, *inputs: Value) -> Value:
    """The elements of all inputs, two by two."""
    shapes = {value.shape for value in inputs}
    if len(shapes) > 1:
        message = f"{named(layer)} gets the shapes {sorted(shapes)}. Give it values of one shape."
        raise Refusal(message)
    function, operator = ELEMENTWISE[type(layer)]
    return reduce(
        lambda x, y: call(layer, function, x, y, onnx=Node(operator)), aligned(layer, *inputs)
    )
