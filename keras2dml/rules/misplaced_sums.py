"""Where Keras on TensorFlow adds numbers along another axis than theirs.

Its `ops.add` takes a second operand with one axis above 1 for a bias: of the last axis of the first
operand if that has its size, or else of the axis behind the examples.
"""

from __future__ import annotations

from keras2dml.backend import is_tensorflow
from keras2dml.errors import InvalidData
from keras2dml.graph import ADD, MAP, Call, Graph, Shape, Value


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


def check(
    graph: Graph, batch_size: int, examples: int, *, eager: bool, argument: str = "batch_size"
) -> None:
    """InvalidData for sums that Keras takes for biases in such batches, whose size the user knows
    as `argument`.

    Compiled, Keras knows the size of a batch where all have as many examples; `eager`, it knows
    that of each.
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
    """A sentence for each sum of which an operand is one number for an example, or one along an
    axis of a single example, and so a bias to TensorFlow in batches of so many `examples`.
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
    """The shape of an operand before a call repeated it to that of the other one."""
    source = value.source
    if source and source.function == MAP and source.layer == call.layer:
        return source.inputs[0].shape
    return value.shape
