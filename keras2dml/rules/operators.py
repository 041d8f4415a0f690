"""ONNX operators written as text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras2dml.graph import Node

NODE_ATTRIBUTES: Mapping[str, Mapping[str, object]] = {
    "Cast": {"to": 1},
    "Softmax": {"axis": -1},
    "LogSoftmax": {"axis": -1},
    "ReduceMean": {"axes": (-1,), "keepdims": 1},
    "ReduceL2": {"axes": (-1,), "keepdims": 1},
}
"""What operators of `nodes` are given: numbers become floats, and axes are the last one."""


def nodes(*steps: str) -> tuple[Node, ...]:
    """ONNX operators, each written as `Operator inputs > output`; numbers are constants and come
    last. The output of the last operator is that of the call.
    """
    operators = []
    for step in steps:
        expression, _, output = step.partition(" > ")
        operator, *inputs = expression.split()
        names = tuple(name for name in inputs if not _is_number(name))
        numbers = tuple(np.array(float(name), np.float32) for name in inputs if _is_number(name))
        attributes = NODE_ATTRIBUTES.get(operator, {})
        operators.append(Node(operator, names, attributes, numbers, (output or "out",)))
    return tuple(operators)


def _is_number(text: str) -> bool:
    return text[0] in "-0123456789"
