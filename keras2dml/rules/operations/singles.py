"""Whether a model's numbers are those of float32, so that computing in it is what Keras does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Call
from keras2dml.keras_internals import layers_of, nodes_of
from keras2dml.rules.operations.types import WHOLE, of_doubles

_WHOLE_NUMBERS = 2**24
"""Up to here float32 holds each whole number."""


def computes_in_single(model: Any, calls: Iterable[Call]) -> bool:
    """Whether float32 holds all that a model computes: its layers are of that type, and neither
    float64 nor integers of any size are between them; nor is a constant that float32 would round.
    """
    layers = (layer for layer in layers_of(model) if not isinstance(layer, keras.Model))
    if {layer.compute_dtype for layer in layers} != {"float32"} or of_doubles(model):
        return False
    if any(_has_whole_numbers(node) for node in nodes_of(model)):
        return False
    constants = (constant.matrix for call in calls for constant in call.constants)
    return all(np.array_equal(matrix, np.float32(matrix)) for matrix in constants)


def _has_whole_numbers(node: Any) -> bool:
    """Whether integers are computed, or taken by other than a table whose rows they number."""
    if node.is_input:
        return False
    if any(str(tensor.dtype) in WHOLE for tensor in node.output_tensors):
        return True
    operation = node.operation
    is_table = isinstance(operation, keras.layers.Embedding)
    if is_table and operation.input_dim <= _WHOLE_NUMBERS:
        return False
    return any(str(tensor.dtype) in WHOLE for tensor in node.input_tensors)
