"""Activations: elementwise functions, and softmax over the classes."""

from __future__ import annotations

from dataclasses import replace

import keras

from keras2dml.graph import Call, Node, Value
from keras2dml.rules import Refusal, lowers, named

# Keras' function: the DML function and the ONNX operator of the same name.
ELEMENTWISE = {
    keras.activations.relu: ("relu", "Relu"),
    keras.activations.sigmoid: ("sigmoid", "Sigmoid"),
    keras.activations.tanh: ("tanh", "Tanh"),
}


@lowers(keras.layers.Activation, honours="activation")
def activation(layer: keras.layers.Activation, x: Value) -> tuple[Call, ...]:
    """The activation named or given as `activation`."""
    return activated(layer, x)


def activated(layer: keras.Layer, x: Value, *before: Call) -> tuple[Call, ...]:
    """The calls `before`, which make `x`, followed by the activation of `layer`."""
    function = layer.activation
    if function is keras.activations.linear:
        return before
    if function in ELEMENTWISE:
        name, operator = ELEMENTWISE[function]
        return (*before, Call(name, (x,), replace(x, name=name), layer.name, onnx=Node(operator)))
    if function is keras.activations.softmax:
        if len(x.shape) != 1:
            message = (
                f"{named(layer)} applies softmax to {x.shape}. It is compiled for vectors: add"
                " a Flatten layer before it."
            )
            raise Refusal(message)
        return (
            *before,
            Call(
                "softmax",
                (x,),
                replace(x, name="softmax"),
                layer.name,
                onnx=Node("Softmax", {"axis": -1}),
            ),
        )
    known = ", ".join(repr(known.__name__) for known in (*ELEMENTWISE, keras.activations.softmax))
    wanted = getattr(function, "__name__", repr(function))
    message = (
        f"{named(layer)} has activation {wanted!r}. Compiled are 'linear', {known}: use one of"
        " these."
    )
    raise Refusal(message)
