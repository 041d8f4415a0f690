"""Cross-entropies as operations. As in Keras, if the output is that of a softmax or a sigmoid, the
input of that is used as logits.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.ops import nn

from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.layouts import logits_of, of_vectors, unfolded, vectors
from keras2dml.rules.operations.batches import check_examples
from keras2dml.rules.operations.operands import operands, together
from keras2dml.traits import Trait

ENTROPIES = {
    nn.BinaryCrossentropy: "binary_entropy",
    nn.CategoricalCrossentropy: "categorical_entropy",
}
"""Keras' operation: its DML function of probabilities."""
SUMMED = Node("ReduceSum", ("products",), {"keepdims": 1}, (np.array([-1]),), ("sum",))


@lowers(nn.BinaryCrossentropy)
def binary(layer: Any, target: Any, output: Any) -> Value:
    """For each number the negative logarithm of the probability of its target, 0 or 1."""
    target, output = _arguments(layer, target, output)
    logits = _logits(layer.name, output)
    of_logits = logits is not None or layer.from_logits
    x, y = together(layer, output if logits is None else logits, target)
    if of_logits:
        onnx = nodes(
            "Relu X > over",
            "Mul X Y > product",
            "Sub over product > line",
            "Abs X > size",
            "Neg size > below",
            "Exp below > power",
            "Add power 1 > more",
            "Log more > bend",
            "Add line bend",
        )
        return call(layer.name, "binary_entropy_of_logits", x, y, onnx=onnx)
    epsilon = float(keras.config.epsilon())
    onnx = nodes(
        f"Clip X {epsilon} {1 - epsilon} > kept",
        "Log kept > yes",
        "Mul Y yes > first",
        "Neg kept > minus",
        "Add minus 1 > other",
        "Log other > no",
        "Neg Y > less",
        "Add less 1 > rest",
        "Mul rest no > second",
        "Add first second > both",
        "Neg both",
    )
    return call(
        layer.name,
        "binary_entropy",
        x,
        y,
        sizes={"epsilon": epsilon},
        onnx=onnx,
        traits=[Trait.TAKES_PROBABILITIES],
    )


@lowers(nn.CategoricalCrossentropy)
def categorical(layer: Any, target: Any, output: Any) -> Value:
    """For each vector along the last axis the negative logarithm of the target's probability."""
    target, output = _arguments(layer, target, output)
    if layer.axis not in (-1, len(output.shape)):
        message = f"{named(layer)} has axis={layer.axis}. Only the last one is compiled: use -1."
        raise Refusal(message)
    logits = _logits(layer.name, output)
    of_logits = logits is not None or layer.from_logits
    x, y = together(layer, output if logits is None else logits, target)
    leading = x.shape[:-1]
    x, y = vectors(layer.name, x), vectors(layer.name, y)
    to = Value.of((1,), rows=x.rows)
    if of_logits:
        onnx = (*nodes("LogSoftmax X > logarithms", "Mul Y logarithms > products"), SUMMED)
        out = call(
            layer.name,
            "categorical_entropy_of_logits",
            x,
            y,
            to=to,
            onnx=(*onnx, *nodes("Neg sum")),
        )
    else:
        epsilon = float(keras.config.epsilon())
        onnx = (
            Node("ReduceSum", ("X",), {"keepdims": 1}, (np.array([-1]),), ("total",)),
            *nodes("Div X total > scaled", f"Clip scaled {epsilon} {1 - epsilon} > kept"),
            *nodes("Log kept > logarithms", "Mul Y logarithms > products"),
            SUMMED,
            *nodes("Neg sum"),
        )
        out = call(
            layer.name,
            "categorical_entropy",
            x,
            y,
            to=to,
            sizes={"epsilon": epsilon},
            onnx=onnx,
            traits=[Trait.TAKES_PROBABILITIES],
        )
    return unfolded(layer.name, out, leading).seen_as(leading, leading)


def _arguments(layer: Any, target: Any, output: Any) -> tuple[Any, Value]:
    target, output = operands(layer, target, output)
    check_examples(layer, target, output)
    if not isinstance(output, Value):
        message = f"{named(layer)} takes an array as its output. Give it the output of layers."
        raise Refusal(message)
    return target, output


def _logits(name: str, output: Value) -> Value | None:
    """The input of the softmax or sigmoid that computes a value, in the value's shape."""
    rows = logits_of(output)
    if rows is None or rows.rows == output.rows:
        return rows
    return of_vectors(name, rows, output)
