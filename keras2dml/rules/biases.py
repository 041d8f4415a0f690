"""Biases that Keras on TensorFlow adds along the wrong axis."""

from __future__ import annotations

from typing import Any

from keras2dml.graph import Shape, Value
from keras2dml.rules import Refusal, named
from keras2dml.rules.misplaced_sums import misplaced

FIRST = "channels_first"


def check_added(layer: Any, shape: Shape, added: Shape, remedy: str) -> None:
    """Raise Refusal for numbers that TensorFlow adds to examples of a shape along the wrong
    axis.
    """
    if axes := misplaced((0, *shape), added):
        message = (
            f"{named(layer)} adds {added} to {shape}. Keras on TensorFlow adds it along axis"
            f" {axes[0]}, and not {axes[1]}: {remedy}."
        )
        raise Refusal(message)


def check_channels(layer: Any, x: Value) -> None:
    """Raise Refusal for images `x` with channels first to which Keras' layer adds a bias along the
    width. Subclasses may add it correctly.
    """
    of_keras = type(layer).__module__.startswith("keras.")
    if of_keras and layer.use_bias and layer.data_format == FIRST:
        bias = (x.shape[0], *(1 for _ in x.shape[1:]))
        remedy = "use data_format='channels_last', use_bias=False, or another number of filters"
        check_added(layer, x.shape, bias, remedy)
