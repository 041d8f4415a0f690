"""Activations: elementwise functions, and those along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Constant, Node, Scalar, Shape, Value, Weight
from keras2dml.rules import call, lowers, named, nodes
from keras2dml.rules.arguments import rounded
from keras2dml.rules.layouts import axes_of, of_vectors, vectors
from keras2dml.rules.tracing import traced
from keras2dml.traits import KINK, Trait

# TensorFlow rounds this constant of `gelu` to single precision, even in double precision.
ROOT_OF_HALF = float(np.float32(math.sqrt(0.5)))

# Keras' function: the DML function of that name, and the ONNX operators.
ELEMENTWISE: dict[Any, tuple[Node, ...]] = {
    keras.activations.relu: nodes("Relu X"),
    keras.activations.sigmoid: nodes("Sigmoid X"),
    keras.activations.tanh: nodes("Tanh X"),
    keras.activations.exponential: nodes("Exp X"),
    keras.activations.softplus: nodes("Softplus X"),
    keras.activations.softsign: nodes("Softsign X"),
    keras.activations.selu: nodes("Selu X"),
    keras.activations.silu: nodes("Sigmoid X > gate", "Mul X gate"),
    keras.activations.gelu: nodes(
        f"Mul X {ROOT_OF_HALF} > scaled",
        "Erf scaled > erf",
        "Add erf 1 > gate",
        "Mul X gate > both",
        "Mul both 0.5",
    ),
    keras.activations.mish: nodes("Softplus X > plus", "Tanh plus > gate", "Mul X gate"),
    keras.activations.relu6: nodes("Clip X 0 6"),
    keras.activations.hard_tanh: nodes("Clip X -1 1"),
    keras.activations.hard_sigmoid: nodes(
        "Mul X 0.16666667 > part", "Add part 0.5 > in", "Clip in 0 1"
    ),
    keras.activations.hard_silu: nodes(
        "Mul X 0.16666667 > part", "Add part 0.5 > in", "Clip in 0 1 > gate", "Mul X gate"
    ),
    keras.activations.soft_shrink: (Node("Shrink", ("X",), {"lambd": 0.5, "bias": 0.5}),),
    keras.activations.hard_shrink: (Node("Shrink", ("X",), {"lambd": 0.5, "bias": 0.0}),),
    keras.activations.tanh_shrink: nodes("Tanh X > tanh", "Sub X tanh"),
    keras.activations.log_sigmoid: nodes("Neg X > neg", "Softplus neg > plus", "Neg plus"),
    keras.activations.squareplus: nodes(
        "Mul X X > square",
        "Add square 4 > more",
        "Sqrt more > root",
        "Add X root > both",
        "Mul both 0.5",
    ),
    keras.activations.sparse_plus: nodes(
        "Clip X -1 1 > in",
        "Add in 1 > up",
        "Mul up up > square",
        "Mul square 0.25 > bowl",
        "Sub X 1 > over",
        "Relu over > line",
        "Add bowl line",
    ),
    keras.activations.sparse_sigmoid: nodes("Mul X 0.5 > half", "Add half 0.5 > in", "Clip in 0 1"),
}
TRAITS: dict[Any, Iterable[Trait]] = {
    keras.activations.relu: [Trait.AFTER_MAXIMA],
    keras.activations.selu: KINK,
    keras.activations.hard_tanh: [Trait.KINK_ON_TORCH],
    keras.activations.sparse_sigmoid: [Trait.KINK_ON_JAX],
}
ALONG_AN_AXIS = {
    keras.activations.softmax: nodes("Softmax X"),
    keras.activations.log_softmax: nodes("LogSoftmax X"),
}


@lowers(keras.layers.Activation, honours="activation")
def activation(layer: keras.layers.Activation, x: Value) -> Value:
    """The activation named or given as `activation`."""
    return activated(layer, x, layer.activation)


def activated(layer: Any, x: Value, function: Any) -> Value:
    """`x` after one of Keras' activation functions, with the function's default arguments, or after
    a function of Keras operations.
    """
    if function is keras.activations.linear:
        return x
    if function in ELEMENTWISE:
        onnx, traits = ELEMENTWISE[function], TRAITS.get(function, ())
        return call(layer.name, function.__name__, x, onnx=onnx, traits=traits)
    if function in OTHERS:
        return OTHERS[function](layer.name, x)
    subject = f"{named(layer)} has the activation {label(function)}"
    (out,) = traced(function, x, subject=subject, name=layer.name, dtype=layer.compute_dtype)
    return out


def is_of_keras(function: Any) -> bool:
    """Whether an activation is one of Keras' with a rule: of elements, or along the last axis."""
    return function is keras.activations.linear or function in ELEMENTWISE or function in OTHERS


def label(function: Any) -> str:
    """A function's name in complaints."""
    return repr(getattr(function, "__name__", function))


def along(name: str, x: Value, function: Any, axis: int | Shape) -> Value:
    """Softmax or log_softmax along an axis of an example, or over several together."""
    rows = vectors(name, x, axis)
    results = call(name, function.__name__, rows, onnx=ALONG_AN_AXIS[function])
    return of_vectors(name, results, x, axis)


@lowers(keras.layers.Softmax, honours="axis", partly="axis")
def softmax(layer: keras.layers.Softmax, x: Value) -> Value:
    """Probabilities along one axis, or over several together."""
    return along(layer.name, x, keras.activations.softmax, axes_of(layer, x, layer.axis))


@lowers(keras.layers.ReLU, honours="max_value negative_slope threshold")
def relu(layer: keras.layers.ReLU, x: Value) -> Value:
    """0 or a slope below the threshold, and at most `max_value` above it."""
    ceiling = math.inf if layer.max_value is None else rounded(layer.max_value)
    slope, threshold = float(layer.negative_slope), rounded(layer.threshold)
    if (ceiling, threshold) == (math.inf, 0.0):
        return leaky(layer.name, x, slope) if slope else activated(layer, x, keras.activations.relu)
    highest = min(ceiling, float(np.finfo(np.float32).max))
    shift = float(layer.threshold)  # which the slope begins at, and which is not cast
    sizes = {"threshold": threshold, "ceiling": highest, "slope": slope}
    onnx = nodes(
        f"Greater X {threshold} > over",
        "Cast over > open",
        "Mul X open > kept",
        f"Clip kept 0 {highest} > up",
        f"Sub X {shift} > shifted",
        f"Clip shifted {np.finfo(np.float32).min} 0 > below",
        f"Mul below {slope} > line",
        "Add up line",
    )
    if slope and shift != threshold:
        sizes["shift"] = shift
        return call(layer.name, "shifted_relu", x, sizes=sizes, onnx=onnx, traits=KINK)
    return call(layer.name, "bounded_relu", x, sizes=sizes, onnx=onnx, traits=KINK)


@lowers(keras.layers.LeakyReLU, honours="negative_slope")
def leaky_relu(layer: keras.layers.LeakyReLU, x: Value) -> Value:
    """A slope below 0."""
    return leaky(layer.name, x, float(layer.negative_slope))


@lowers(keras.layers.ELU, honours="alpha")
def elu(layer: keras.layers.ELU, x: Value) -> Value:
    """An exponential below 0."""
    return elu_of(layer.name, x, float(layer.alpha))


@lowers(keras.layers.PReLU, honours="shared_axes")
def prelu(layer: keras.layers.PReLU, x: Value) -> Value:
    """A learned slope below 0, for each element or shared along axes."""
    shape = tuple(layer.alpha.shape)
    places = np.arange(math.prod(shape)).reshape(shape)
    columns = np.broadcast_to(places, x.shape).ravel()[x.order]
    cells = np.column_stack([columns, np.arange(x.size), np.ones(x.size)]) + np.array([1, 1, 0])
    sizes: dict[str, Scalar] = {"inputs": places.size, "outputs": x.size}
    onnx = (
        Node("Reshape", ("alpha",), {}, (np.array([-1]),), ("flat",)),
        Node("Gather", ("flat",), {}, (columns,), ("picked",)),
        Node("Reshape", ("picked",), {}, (np.array([1, *x.stored]),), ("slope",)),
        Node("PRelu", ("X", "slope")),
    )
    return call(
        layer.name,
        "prelu",
        x,
        weights=(Weight("alpha", layer.alpha, (1, places.size)),),
        constants=(Constant("S", cells, "sparse_map", sizes),),
        onnx=onnx,
    )


def leaky(name: str, x: Value, slope: float) -> Value:
    """A slope below 0."""
    sizes = {"slope": float(np.float32(slope))}  # as TensorFlow's operator does
    onnx = Node("LeakyRelu", ("X",), {"alpha": slope})
    return call(name, "leaky_relu", x, sizes=sizes, onnx=onnx, traits=[Trait.KINK_ON_JAX])


def elu_of(name: str, x: Value, alpha: float) -> Value:
    """An exponential below 0."""
    return call(name, "elu", x, sizes={"alpha": alpha}, onnx=Node("Elu", ("X",), {"alpha": alpha}))


def celu(name: str, x: Value, alpha: float) -> Value:
    """An exponential below 0, with the same slope at 0 as the line above."""
    onnx = Node("Celu", ("X",), {"alpha": alpha})
    return call(name, "celu", x, sizes={"alpha": alpha}, onnx=onnx, traits=KINK)


def sparsemax(name: str, x: Value, axis: int = -1) -> Value:
    """The part of each element above a threshold. Keras computes the threshold from other sums than
    the paper: the cumulative sums of the sorted elements, added up.
    """
    rows = vectors(name, x, axis)
    numbers, last = np.arange(1, rows.size + 1, dtype=np.float32), np.array([-1])
    keep = {"keepdims": 1}
    onnx = (
        Node("TopK", ("X",), {"axis": -1}, (np.array([rows.size]),), ("sorted", "places")),
        Node("CumSum", ("sorted",), {}, (np.array(-1),), ("sums",)),
        Node("Mul", ("sorted",), {}, (numbers,), ("scaled",)),
        *nodes("Sub scaled sums > rest", "Greater rest -1 > kept", "Cast kept > support"),
        Node("Mul", ("sums", "support"), {}, (), ("supporting",)),
        Node("ReduceSum", ("supporting",), keep, (last,), ("sum",)),
        Node("ReduceSum", ("support",), keep, (last,), ("count",)),
        *nodes("Sub sum 1 > over", "Div over count > tau", "Sub X tau > left", "Relu left"),
    )
    result = call(name, "sparsemax", rows, onnx=onnx, traits=[Trait.KINK_ON_JAX])
    return of_vectors(name, result, x, axis)


# Functions that are a layer with other defaults, or that work along an axis.
OTHERS: dict[Any, Callable[[str, Value], Value]] = {
    keras.activations.softmax: lambda name, x: along(name, x, keras.activations.softmax, -1),
    keras.activations.log_softmax: lambda name, x: along(
        name, x, keras.activations.log_softmax, -1
    ),
    keras.activations.sparsemax: sparsemax,
    keras.activations.leaky_relu: lambda name, x: leaky(name, x, 0.2),
    keras.activations.elu: lambda name, x: elu_of(name, x, 1.0),
    keras.activations.celu: lambda name, x: celu(name, x, 1.0),
}
