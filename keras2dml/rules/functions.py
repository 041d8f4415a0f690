"""Functions as layers."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras2dml.graph import Value
from keras2dml.rules import Refusal, lowers, named
from keras2dml.rules.activations import label
from keras2dml.rules.tracing import traced


@lowers(keras.layers.Lambda, honours="function output_shape arguments", partly="function")
def lambda_(layer: Any, *inputs: Value) -> tuple[Value, ...]:
    """A Lambda layer whose function consists of Keras operations."""
    parameters = inspect.signature(layer.function).parameters
    unsupported = [name for name in ("mask", "training") if name in parameters]
    if unsupported:
        message = (
            f"{named(layer)} has a function that takes {' and '.join(unsupported)}. It is only"
            " compiled without: leave the argument out."
        )
        raise Refusal(message)
    several = len(inputs) > 1

    def function(*tensors: Any) -> Any:
        return layer.function([*tensors] if several else tensors[0], **(layer.arguments or {}))

    subject = f"{named(layer)} has the function {label(layer.function)}"
    return traced(function, *inputs, subject=subject, name=layer.name, dtype=layer.compute_dtype)
