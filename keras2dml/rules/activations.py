"""Activations: elementwise functions, and softmax over an axis."""

from __future__ import annotations

from typing import Any

import keras

from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.layouts import of_vectors, vectors

# Keras' function: the DML function and the ONNX operator of the same name.
ELEMENTWISE = {
    keras.activations.relu: ("relu", "Relu"),
    keras.activations.sigmoid: ("sigmoid", "Sigmoid"),
    keras.activations.tanh: ("tanh", "Tanh"),
}


@lowers(keras.layers.Activation, honours="activation")
def activation(layer: keras.layers.Activation, x: Value) -> Value:
    """The activation named or given as `activation`."""
    return activated(layer, x, layer.activation)


def activated(layer: Any, x: Value, function: Any) -> Value:
    """`x` after one of Keras' activation functions."""
    if function is keras.activations.linear:
        return x
    if function in ELEMENTWISE:
        name, operator = ELEMENTWISE[function]
        return call(layer, name, x, onnx=Node(operator))
    if function is keras.activations.softmax:
        return softmax(layer, x, axis=-1)
    known = ", ".join(repr(known.__name__) for known in (*ELEMENTWISE, keras.activations.softmax))
    wanted = getattr(function, "__name__", repr(function))
    message = (
        f"{named(layer)} has activation {wanted!r}. Compiled are 'linear', {known}: use one of"
        " these."
    )
    raise Refusal(message)


def softmax(layer: Any, x: Value, axis: int) -> Value:
    """Probabilities along an axis of an example."""
    rows = vectors(layer, x, axis)
    return of_vectors(
        layer, call(layer, "softmax", rows, onnx=Node("Softmax", (), {"axis": -1})), x, axis
    )
