"""ONNX' recurrent operators, with their steps first and one direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras2dml.graph import Node

# The parameters of some ONNX activations.
ALPHA = {"Affine": 1.0, "HardSigmoid": 1 / 6, "Elu": 1.0}
BETA = {"Affine": 0.0, "HardSigmoid": 0.5}


def activations(*operators: str) -> dict[str, object]:
    """The attributes that name activations."""
    alpha = [ALPHA[operator] for operator in operators if operator in ALPHA]
    beta = [BETA[operator] for operator in operators if operator in BETA]
    constants = {"activation_alpha": alpha, "activation_beta": beta}
    return {
        "activations": operators,
        **{name: values for name, values in constants.items() if values},
    }


def recurrent_nodes(
    cell: Any,
    steps: int,
    begun: bool,
    biased: bool,
    backwards: bool,
    names: tuple[str, ...],
    operator: str,
    attributes: dict[str, object],
) -> tuple[Node, ...]:
    """The operator with `attributes`, and nodes that reorder its inputs and results."""
    swap = {"perm": (1, 0, 2)}
    first, second = (np.array([0]),), (np.array([1]),)
    turned = (np.arange(steps)[::-1].copy(),)
    weights = [
        Node("Transpose", ("X",), swap, (), ("steps",)),
        Node("Unsqueeze", ("W",), {}, first, ("kernel",)),
        Node("Unsqueeze", ("U",), {}, first, ("recurrent",)),
    ]
    if backwards:
        weights.append(Node("Gather", ("steps",), {"axis": 0}, turned, ("reversed",)))
    if biased:
        weights += _bias_nodes(cell)
    if begun:
        weights.append(Node("Unsqueeze", ("Y",), {}, first, ("initial_h",)))
    if begun and len(names) > 1:
        weights.append(Node("Unsqueeze", ("Z",), {}, first, ("initial_c",)))
    inputs = (
        "reversed" if backwards else "steps",
        "kernel",
        "recurrent",
        "bias" if biased else "",
        "",
        *(("initial_h", "initial_c")[: len(names)] if begun else ()),
    )
    outputs = ("sequence", *(f"last_{name}" for name in names))
    sizes = {"hidden_size": cell.units, **attributes}
    return (
        *weights,
        Node(operator, inputs, sizes, (), outputs),
        Node("Squeeze", ("sequence",), {}, second, ("made",)),
        Node("Transpose", ("made",), swap),
        *(Node("Squeeze", (f"last_{name}",), {}, first, (name,)) for name in names),
    )


def _bias_nodes(cell: Any) -> list[Node]:
    """ONNX' bias: that of the inputs, then that of the states, which only GRU uses."""
    if len(cell.bias.shape) > 1:
        flat = (np.array([1, -1]),)
        return [
            Node("Transpose", ("b",), {"perm": (1, 0)}, (), ("biases",)),
            Node("Reshape", ("biases",), {}, flat, ("bias",)),
        ]
    zeros = (np.zeros(cell.bias.shape[0], np.float32),)
    return [
        Node("Concat", ("b",), {"axis": 0}, zeros, ("biases",)),
        Node("Unsqueeze", ("biases",), {}, (np.array([0]),), ("bias",)),
    ]
