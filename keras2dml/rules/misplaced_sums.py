"""Where Keras on TensorFlow adds numbers along the wrong axis.

Its `ops.add` treats a second operand with a single axis above 1 as a bias: of the last axis of the
first operand if that has the same size, otherwise of the axis after the examples.
"""

from __future__ import annotations

from keras2dml.backend import is_tensorflow
from keras2dml.errors import InvalidData
from keras2dml.graph import ADD, MAP, Call, Graph, Shape, Value


def misplaced(shape: Shape, added: Shape) -> tuple[int, int] | None:
    """The axis along which TensorFlow adds numbers of shape `added` to a tensor, and the correct
    axis, if they differ. Both shapes include the axis of examples, if there is one.
    """
    places = [place for place, size in enumerate(added) if size > 1]
    if len(places) != 1 or len(shape) < 2 or not is_tensorflow():
        return None
    size, axis = added[places[0]], len(shape) - len(added) + places[0]
    ends = [end for end in (len(shape) - 1, 1) if shape[end] == size]
    return (ends[0], axis) if ends and ends[0] != axis else None


def check(
    graph: Graph, batch_size: int, examples: int, *, eager: bool, argument: str = "batch_size"
) -> None:
    """Raise InvalidData for sums that Keras treats as biases in batches of this size, which the
    user sets with `argument`.

    In compiled mode Keras knows the batch size only if all batches have the same; in `eager` mode
    it always does.
    """
    size = min(batch_size, examples)
    rest = examples % size
    sizes = [] if rest and not eager else [size, rest] if rest else [size]
    reasons = [reason for size in sizes for reason in complaints(graph, size)]
    if reasons:
        message = (
            f"{' '.join(dict.fromkeys(reasons))} Give another {argument}, or put the smaller"
            " operand first."
        )
        raise InvalidData(message)


def complaints(graph: Graph, examples: int) -> list[str]:
    """A sentence for each sum with an operand of one number per example, or of numbers along an
    axis of a single example, which TensorFlow treats as a bias in batches of this many `examples`.
    """
    sums = [call for call in graph.calls if call.function == ADD and len(call.inputs) == 2]
    return [
        f"Layer {call.layer!r} adds {added} to {shape}. In batches of {examples} Keras on"
        f" TensorFlow adds it along axis {axes[0]}, and not {axes[1]}."
        for call in sums
        for shape, added in [[_narrow(call, value) for value in call.inputs]]
        if (axes := misplaced((examples, *shape), (examples, *added)))
    ]


def _narrow(call: Call, value: Value) -> Shape:
    """The shape of an operand before a call broadcast it to the other operand's."""
    source = value.source
    if source and source.function == MAP and source.layer == call.layer:
        return source.inputs[0].shape
    return value.shape
