"""Where Keras on TensorFlow adds numbers along another axis than theirs.

Its `ops.add` takes a second operand with one axis above 1 for a bias: of the last axis of the first
operand if that has its size, or else of the axis behind the examples.
"""

from __future__ import annotations

from typing import Any

from keras2dml.backend import is_tensorflow
from keras2dml.graph import Call, Graph, Shape, Value
from keras2dml.rules import Refusal, named

FIRST = "channels_first"


def misplaced(shape: Shape, added: Shape) -> tuple[int, int] | None:
    """The axis along which TensorFlow adds numbers of the shape `added` to a tensor, and the one
    where they belong, if these are two. Both shapes have an axis for the examples, if there is one.
    """
    places = [place for place, size in enumerate(added) if size > 1]
    if len(places) != 1 or len(shape) < 2 or not is_tensorflow():
        return None
    size, axis = added[places[0]], len(shape) - len(added) + places[0]
    ends = [end for end in (len(shape) - 1, 1) if shape[end] == size]
    return (ends[0], axis) if ends and ends[0] != axis else None


def check_added(layer: Any, shape: Shape, added: Shape, remedy: str) -> None:
    """Refusal for numbers that TensorFlow adds to examples of a shape along another axis."""
    if axes := misplaced((0, *shape), added):
        message = (
            f"{named(layer)} adds {added} to {shape}. Keras on TensorFlow adds it along axis"
            f" {axes[0]}, and not {axes[1]}: {remedy}."
        )
        raise Refusal(message)


def check_channels(layer: Any, x: Value) -> None:
    """Refusal for images `x` with their channels first, to which Keras' layer adds a bias along the
    width. Subclasses add it as they say.
    """
    of_keras = type(layer).__module__.startswith("keras.")
    if of_keras and layer.use_bias and layer.data_format == FIRST:
        bias = (x.shape[0], *(1 for _ in x.shape[1:]))
        remedy = "use data_format='channels_last', use_bias=False, or another number of filters"
        check_added(layer, x.shape, bias, remedy)


def complaints(graph: Graph, examples: int) -> list[str]:
    """A sentence for each sum of which an operand is one number for an example, or one along an
    axis of a single example, and so a bias to TensorFlow in batches of so many `examples`.
    """
    sums = [call for call in graph.calls if call.function == "add" and len(call.inputs) == 2]
    return [
        f"Layer {call.layer!r} adds {added} to {shape}. In batches of {examples} Keras on"
        f" TensorFlow adds it along axis {axes[0]}, and not {axes[1]}."
        for call in sums
        for shape, added in [[_narrow(call, value) for value in call.inputs]]
        if (axes := misplaced((examples, *shape), (examples, *added)))
    ]


def _narrow(call: Call, value: Value) -> Shape:
    """The shape of an operand before a call repeated it to that of the other one."""
    source = value.source
    if source and source.function == "linear" and source.layer == call.layer:
        return source.inputs[0].shape
    return value.shape
