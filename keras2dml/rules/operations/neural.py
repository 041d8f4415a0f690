"""The activations among Keras operations; layers have them too, with other arguments."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras.src.activations.activations import Mish, ReLU
from keras.src.ops import nn
from keras.src.ops import numpy as operations

from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.activations import (
    activated,
    along,
    celu,
    elu_of,
    leaky,
    relu,
    sparsemax,
)
from keras2dml.rules.layouts import picked, places
from keras2dml.rules.merging import pairwise
from keras2dml.rules.operations.reductions import axes

# Keras' operation: the activation that it is.
ACTIVATIONS = {
    Mish: keras.activations.mish,
    nn.HardSigmoid: keras.activations.hard_sigmoid,
    nn.HardSilu: keras.activations.hard_silu,
    nn.HardTanh: keras.activations.hard_tanh,
    nn.LogSigmoid: keras.activations.log_sigmoid,
    nn.Relu: keras.activations.relu,
    nn.Relu6: keras.activations.relu6,
    nn.Selu: keras.activations.selu,
    nn.Sigmoid: keras.activations.sigmoid,
    nn.Silu: keras.activations.silu,
    nn.Softplus: keras.activations.softplus,
    nn.Softsign: keras.activations.softsign,
    nn.SparsePlus: keras.activations.sparse_plus,
    nn.SparseSigmoid: keras.activations.sparse_sigmoid,
    nn.TanhShrink: keras.activations.tanh_shrink,
    operations.Exp: keras.activations.exponential,
    operations.Tanh: keras.activations.tanh,
}
PROBABILITIES = {
    nn.Softmax: keras.activations.softmax,
    nn.LogSoftmax: keras.activations.log_softmax,
}


@lowers(*ACTIVATIONS)
def activation(layer: Any, x: Value) -> Value:
    """An activation without arguments."""
    return activated(layer, x, ACTIVATIONS[type(layer)])


lowers(ReLU)(relu)


@lowers(nn.LeakyRelu)
def leaky_relu(layer: Any, x: Value) -> Value:
    """A slope below 0."""
    return leaky(layer.name, x, float(layer.negative_slope))


@lowers(nn.Elu)
def elu(layer: Any, x: Value) -> Value:
    """An exponential below 0."""
    return elu_of(layer.name, x, float(layer.alpha))


@lowers(nn.Celu)
def celu_of(layer: Any, x: Value) -> Value:
    """An exponential below 0, with the same slope at 0 as the line above."""
    return celu(layer.name, x, float(layer.alpha))


@lowers(nn.Gelu)
def gelu(layer: Any, x: Value) -> Value:
    """Each element times the normal distribution's CDF at it, or times an approximation."""
    if not layer.approximate:
        return activated(layer, x, keras.activations.gelu)
    onnx = nodes(
        "Mul X X > square",
        "Mul square X > cube",
        "Mul cube 0.044715 > part",
        "Add X part > sum",
        "Mul sum 0.7978845608 > scaled",
        "Tanh scaled > tanh",
        "Add tanh 1 > gate",
        "Mul X gate > both",
        "Mul both 0.5",
    )
    return call(layer.name, "gelu_by_tanh", x, onnx=onnx)


@lowers(nn.Threshold)
def thresholded(layer: Any, x: Value) -> Value:
    """Replaces elements that are not above the threshold by a number."""
    limit, value = float(layer.threshold), float(layer.default_value)
    onnx = (
        Node("Greater", ("X",), {}, (np.array(limit, np.float32),), ("over",)),
        Node("Where", ("over", "X"), {}, (np.array(value, np.float32),)),
    )
    sizes = {"threshold": limit, "value": value}
    return call(layer.name, "thresholded", x, sizes=sizes, onnx=onnx)


@lowers(nn.HardShrink)
def hard_shrink(layer: Any, x: Value) -> Value:
    """Replaces elements near 0 by 0."""
    return _shrunk(layer, x, "hard", 0.0)


@lowers(nn.SoftShrink)
def soft_shrink(layer: Any, x: Value) -> Value:
    """Moves elements towards 0, and replaces those near 0 by 0."""
    return _shrunk(layer, x, "soft", float(layer.threshold))


def _shrunk(layer: Any, x: Value, kind: str, bias: float) -> Value:
    width = float(layer.threshold)
    onnx = Node("Shrink", ("X",), {"lambd": width, "bias": bias})
    return call(layer.name, f"{kind}_shrink_by", x, sizes={"width": width}, onnx=onnx)


@lowers(nn.Squareplus)
def squareplus(layer: Any, x: Value) -> Value:
    """A smooth relu, whose bend has the width of the root of `b`."""
    if layer.b == 4:
        return activated(layer, x, keras.activations.squareplus)
    width = float(layer.b)
    onnx = nodes(
        "Mul X X > square",
        f"Add square {width} > more",
        "Sqrt more > root",
        "Add X root > both",
        "Mul both 0.5",
    )
    return call(layer.name, "squareplus_by", x, sizes={"width": width}, onnx=onnx)


@lowers(*PROBABILITIES)
def probabilities(layer: Any, x: Value) -> Value:
    """Probabilities along an axis, or their logarithms."""
    axis = _axis(layer, x)
    return along(layer.name, x, PROBABILITIES[type(layer)], axis)


@lowers(nn.Sparsemax)
def sparsemax_along(layer: Any, x: Value) -> Value:
    """Sparse probabilities along an axis."""
    axis = _axis(layer, x)
    return sparsemax(layer.name, x, axis)


@lowers(nn.Glu)
def glu(layer: Any, x: Value) -> Value:
    """One half of an axis, times the sigmoid of the other."""
    axis = _axis(layer, x)
    first, second = (picked(layer.name, x, part) for part in np.split(places(x), 2, axis))
    gate = activated(layer, second, keras.activations.sigmoid)
    return pairwise(layer, first, gate, "multiply", "Mul")


def _axis(layer: Any, x: Value) -> int:
    """The single axis of an example along which an operation goes."""
    if layer.axis is not None and not isinstance(layer.axis, Integral):
        message = (
            f"{named(layer)} has axis={layer.axis!r}. It is only compiled with a single axis: give"
            " a number, or reshape several axes to one before."
        )
        raise Refusal(message)
    (axis,) = axes(layer, x)
    return axis
