"""Elementwise operations on one value."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras.src.ops import core
from keras.src.ops import math as more
from keras.src.ops import numpy as operations

from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.merging import rescaled
from keras2dml.rules.operations.arithmetic import bounded
from keras2dml.rules.operations.operands import array, beside, operands, rows, together
from keras2dml.traits import KINK, Trait

TRUNCATED = nodes("Sign X > sign", "Abs X > size", "Floor size > whole", "Mul sign whole")

# Keras' operation: the DML function and the ONNX operators.
ELEMENTWISE: dict[Any, tuple[str, tuple[Node, ...]]] = {
    operations.Abs: ("absolute", nodes("Abs X")),
    operations.Absolute: ("absolute", nodes("Abs X")),
    operations.Fabs: ("absolute", nodes("Abs X")),
    operations.Sign: ("sign", nodes("Sign X")),
    operations.Square: ("square", nodes("Mul X X")),
    operations.Sqrt: ("square_root", nodes("Sqrt X")),
    more.Rsqrt: ("inverse_root", nodes("Sqrt X > root", "Reciprocal root")),
    operations.Reciprocal: ("reciprocal", nodes("Reciprocal X")),
    operations.Log: ("logarithm", nodes("Log X")),
    operations.Log1p: ("log1p", nodes("Add X 1 > more", "Log more")),
    operations.Expm1: ("expm1", nodes("Exp X > power", "Sub power 1")),
    operations.Sin: ("sine", nodes("Sin X")),
    operations.Cos: ("cosine", nodes("Cos X")),
    operations.Tan: ("tangent", nodes("Tan X")),
    operations.Arcsin: ("arcsine", nodes("Asin X")),
    operations.Arccos: ("arccosine", nodes("Acos X")),
    operations.Arctan: ("arctangent", nodes("Atan X")),
    operations.Sinh: ("hyperbolic_sine", nodes("Sinh X")),
    operations.Cosh: ("hyperbolic_cosine", nodes("Cosh X")),
    more.Erf: ("error_function", nodes("Erf X")),
}
TRAITS = {
    kind: (Trait.KINK_ON_JAX,) for kind in (operations.Abs, operations.Absolute, operations.Fabs)
}
# Step functions and predicates, which are constant for gradients.
STEPS: dict[Any, tuple[str, tuple[Node, ...]]] = {
    operations.Floor: ("floor", nodes("Floor X")),
    operations.Ceil: ("ceiling", nodes("Ceil X")),
    operations.Trunc: ("truncate", TRUNCATED),
    operations.LogicalNot: ("logical_not", nodes("Equal X 0 > none", "Cast none")),
    core.StopGradient: ("stopped", nodes("Identity X")),
}
# Keras' operation: the factor of each element.
LINEAR = {
    operations.Negative: -1.0,
    operations.Deg2rad: math.pi / 180,
    operations.Rad2deg: 180 / math.pi,
}
LOGARITHMS = {operations.Log2: 2.0, operations.Log10: 10.0}


@lowers(*ELEMENTWISE, *STEPS)
def elementwise(layer: Any, x: Value) -> Value:
    """A function of each element."""
    function, onnx = {**ELEMENTWISE, **STEPS}[type(layer)]
    constant, traits = type(layer) in STEPS, TRAITS.get(type(layer), ())
    return call(layer.name, function, x, onnx=onnx, constant=constant, traits=traits)


@lowers(*LINEAR)
def linear(layer: Any, x: Value) -> Value:
    """A number times each element."""
    return rescaled(layer.name, x, LINEAR[type(layer)], 0.0)


@lowers(*LOGARITHMS)
def logarithm(layer: Any, x: Value) -> Value:
    """The logarithm to the base 2 or 10."""
    natural = call(layer.name, "logarithm", x, onnx=nodes("Log X"))
    return rescaled(layer.name, natural, 1 / math.log(LOGARITHMS[type(layer)]), 0.0)


@lowers(operations.Exp2)
def power_of_two(layer: Any, x: Value) -> Value:
    """2 to the power of each element."""
    onnx = nodes(f"Mul X {math.log(2)} > exponent", "Exp exponent")
    return call(layer.name, "power_of_two", x, onnx=onnx)


@lowers(operations.Round)
def rounded(layer: Any, x: Value) -> Value:
    """Rounds to a number of decimals, halves to even."""
    if not layer.decimals:
        return call(layer.name, "round", x, onnx=nodes("Round X"), constant=True)
    factor = _factor(layer)
    onnx = (
        Node("Mul", ("X",), {}, (np.array(factor, np.float32),), ("scaled",)),
        *nodes("Round scaled > whole"),
        Node("Div", ("whole",), {}, (np.array(factor, np.float32),)),
    )
    return call(layer.name, "round_to", x, sizes={"factor": factor}, onnx=onnx, constant=True)


def _factor(layer: Any) -> float:
    """The factor by which Keras multiplies before it rounds, which is a float32."""
    highest = 38
    if abs(layer.decimals) > highest:
        message = (
            f"{named(layer)} has decimals={layer.decimals}. It is only compiled with -{highest} to"
            f" {highest}: give fewer."
        )
        raise Refusal(message)
    return float(np.float32(math.pow(10, layer.decimals)))


@lowers(operations.Clip)
def clipped(layer: Any, x: Value) -> Value:
    """Limits elements to a minimum and a maximum."""
    lowest, highest = (array(layer, bound) for bound in (layer.x_min, layer.x_max))
    if lowest.ndim or highest.ndim:
        x = bounded(layer, "minimum", x, highest)
        return bounded(layer, "maximum", x, lowest)
    limit = float(np.finfo(np.float64).max)
    sizes = {
        "lowest": max(float(lowest), -limit),
        "highest": min(float(highest), limit),
    }
    onnx = (
        Node("Min", ("X",), {}, (highest.astype(np.float32),), ("bounded",)),
        Node("Max", ("bounded",), {}, (lowest.astype(np.float32),)),
    )
    return call(layer.name, "clip", x, sizes=sizes, onnx=onnx, traits=KINK)


@lowers(core.Cast, core.ConvertToTensor)
def cast(layer: Any, x: Value) -> Value:
    """Casts to another type: 0 or 1, or integers by truncation.

    Numbers out of range become the lowest integer, as in TensorFlow on CPUs.
    """
    kind = layer.dtype and keras.backend.standardize_dtype(layer.dtype)
    if kind == "bool":
        onnx = nodes("Equal X 0 > none", "Not none > some", "Cast some")
        return call(layer.name, "is_not_zero", x, onnx=onnx, constant=True)
    if kind in ("int32", "int64"):
        end = 2.0 ** (31 if kind == "int32" else 63)
        onnx = (
            *TRUNCATED[:-1],
            *nodes("Mul sign whole > number", f"Less size {end} > fits"),
            *nodes(f"Where fits number {-end}"),
        )
        return call(layer.name, "whole_number", x, sizes={"end": end}, onnx=onnx, constant=True)
    if kind not in (None, "float32", "float64"):
        message = (
            f"{named(layer)} casts to {kind}. SystemDS computes in float64: use one of 'bool',"
            " 'int32', 'int64', 'float32' and 'float64'."
        )
        raise Refusal(message)
    return x


@lowers(operations.Where)
def where(layer: Any, condition: Any, x1: Any = None, x2: Any = None) -> Value:
    """`x1` where the condition is not 0, and `x2` elsewhere."""
    if x1 is None or x2 is None:
        message = f"{named(layer)} has no x1 or no x2: give it both."
        raise Refusal(message)
    values = together(layer, *operands(layer, condition, x1, x2))
    onnx = nodes("Equal X 0 > none", "Where none Z Y")
    return call(layer.name, "where", *values, onnx=onnx)


@lowers(operations.ZerosLike, operations.OnesLike, operations.FullLike)
def filled(layer: Any, x: Value, fill_value: Any = None) -> Value:
    """A value filled with a number, or with the elements of an array."""
    if isinstance(layer, operations.FullLike):
        _, numbers = beside(layer, x, array(layer, fill_value))
    else:
        numbers = np.array(float(isinstance(layer, operations.OnesLike)))
    return rows(layer.name, numbers, x)
