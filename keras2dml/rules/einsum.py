"""EinsumDense: products of axes of an example with a kernel, by an equation."""

from __future__ import annotations

import math
from string import ascii_letters
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Node, Value, Weight
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.activations import activated
from keras2dml.rules.biases import check_added
from keras2dml.rules.layer_norms import learned
from keras2dml.rules.layouts import arranged, folded, permuted, unfolded


@lowers(
    keras.layers.EinsumDense,
    honours="equation output_shape activation bias_axes",
    partly="equation",
)
def einsum_dense(layer: keras.layers.EinsumDense, x: Value) -> Value:
    """A Dense layer: the axes that are summed over are merged into one at the end, and so are the
    new ones.
    """
    of_input, kernel, of_output = _labels(layer, len(x.shape) + 1)
    summed = [label for label in kernel if label not in of_output]
    new = [label for label in of_output if label not in of_input]
    shared = [label for label in of_input if label in of_output]
    if set(shared) & set(kernel) or len(shared) + len(summed) != len(of_input):
        message = (
            f"{named(layer)} has the equation {layer.equation!r}. It is only compiled if each axis"
            " of the input is either summed over with the kernel, or is in the output."
        )
        raise Refusal(message)
    sizes = dict(zip(of_input, x.shape, strict=True))
    turned = permuted(x, tuple(of_input.index(label) for label in (*shared, *summed)))
    rows = folded(layer.name, turned, len(shared))
    inputs = math.prod(sizes[label] for label in summed)
    extents = dict(zip(kernel, layer.kernel.shape, strict=True))
    outputs = math.prod(extents[label] for label in new)
    places = tuple(kernel.index(label) for label in (*summed, *new))
    weight = Weight("W", layer.kernel, (inputs, outputs), places)
    out = call(
        layer.name,
        "dense_unbiased",
        rows.seen_as((inputs,), (inputs,)),
        to=Value.of((outputs,), rows=rows.rows),
        weights=(weight,),
        onnx=(
            Node("Reshape", ("W",), {}, (np.array([inputs, outputs]),), ("kernel",)),
            Node("MatMul", ("X", "kernel")),
        ),
    )
    wide = unfolded(layer.name, out, tuple(sizes[label] for label in shared))
    shape = tuple({**sizes, **extents}[label] for label in (*shared, *new))
    order = [*shared, *new]
    result = permuted(
        wide.seen_as(shape, wide.stored), tuple(order.index(label) for label in of_output)
    )
    if layer.bias is not None:
        remedy = "name more axes in bias_axes, or none"
        check_added(layer, result.shape, tuple(layer.bias.shape), remedy)
        result = _biased(layer, result, of_output)
    return activated(layer, result, layer.activation)


def _biased(layer: Any, x: Value, of_output: list[str]) -> Value:
    """`x` plus a number for each element along the axes of the bias."""
    first = [axis for axis, label in enumerate(of_output) if label in layer.bias_axes]
    rest = [axis for axis in range(len(of_output)) if axis not in first]
    moved = arranged(layer.name, x, Value.of(x.shape, (*first, *rest)))
    count = math.prod(x.shape[axis] for axis in first)
    flat = moved.seen_as(moved.shape, (count, x.size // count))
    return learned(layer.name, flat, None, layer.bias).seen_as(moved.shape, moved.stored)


def _labels(layer: Any, rank: int) -> tuple[list[str], list[str], list[str]]:
    """The labels of the axes of an example, of the kernel and of the result."""
    inputs, outputs = layer.equation.replace(" ", "").split("->")
    example, kernel = inputs.split(",")
    unused = [letter for letter in ascii_letters if letter not in layer.equation]
    elided = "".join(unused[: rank - len(example.replace("...", ""))])
    of_input, of_output = (labels.replace("...", elided) for labels in (example, outputs))
    if of_input[:1] != of_output[:1] or of_input[0] in kernel or not of_output[1:]:
        message = (
            f"{named(layer)} has the equation {layer.equation!r}. Its first axis, the examples,"
            " must stay the first, with others after it."
        )
        raise Refusal(message)
    return list(of_input[1:]), list(kernel), list(of_output[1:])
