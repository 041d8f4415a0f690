"""A user's loss and metric functions as DML functions: from their graphs to their text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

from keras2dml.dml import syntax
from keras2dml.graph import COLUMN_MEANS, Graph, Value, source_of
from keras2dml.rendering.backward import Backward, Summand, gradient_name
from keras2dml.rendering.forward import Forward
from keras2dml.rules.operations.batches import is_whole


@dataclass(frozen=True, eq=False)
class Layout:
    """The layout of a function's result: `parts` for each example, one for each vector or a single
    one, of `numbers` numbers each. A `whole` result is a single one for all examples.
    """

    value: Value
    vectors: int
    parts: int
    numbers: int
    scalar: bool
    whole: bool
    summed: bool

    @classmethod
    def of(cls, result: Value, output: Value, *, summed: bool) -> Layout:
        """The layout of a result; a mean over all examples has the layout of each example."""
        scalar, value = is_whole(result), result
        if scalar and source_of(result).function == COLUMN_MEANS and result.size == 1:
            value = source_of(result).inputs[0]
        whole = is_whole(value)
        leading = output.shape[:-1]
        vectors, size = math.prod(leading), abs(value.rows) * value.size
        fits = value.rows > 1 or value.shape[: len(leading)] == leading
        parts = vectors if fits and size % vectors == 0 else 1
        numbers = size if whole else size // parts
        return cls(value, vectors, parts, numbers, scalar, whole, summed and not scalar)


def loss(graph: Graph, layout: Layout) -> list[str]:
    """Statements for the losses of the rows, and for the gradient of their sum."""
    forward = Forward.of(graph, training=True)
    predictions = graph.inputs[0]
    variable = forward[layout.value]
    gradient = gradient_name(variable, "loss", ())
    backward = Backward.of(forward, [Summand(variable, gradient)], inputs=[predictions])
    repeats = 1 if layout.whole else layout.vectors // layout.parts
    seed = 1.0 if layout.summed else repeats / layout.numbers
    ones = f"matrix({syntax.literal(seed)}, rows=nrow({variable}), cols=ncol({variable}))"
    losses = _means(variable, layout)
    if repeats > 1:
        share = f" / {repeats}" if layout.summed else ""
        spread = f"({losses}{share}) %*% matrix(1, rows=1, cols={repeats})"
        losses = f"matrix({spread}, rows=nrow(P), cols=1)"
    return [
        *_inputs(graph, layout.vectors),
        *_forward_lines(graph, forward),
        f"losses = {losses}",
        f"{gradient} = {ones}",
        *backward.lines,
        f"gradient = matrix({backward.gradient(forward[predictions])}, rows=nrow(P), cols=ncol(P))",
    ]


def metric(graph: Graph, layout: Layout) -> list[str]:
    """Statements for the values of the rows, or for the value and count of a batch."""
    forward = Forward.of(graph, training=True)
    lines = [*_inputs(graph, layout.vectors), *_forward_lines(graph, forward)]
    if layout.scalar:
        mean = f"as.matrix(mean({forward[graph.output]}))"
        return [*lines, f"counts = cbind({mean}, matrix(1, rows=1, cols=1))"]
    return [*lines, f"values = {_means(forward[layout.value], layout)}"]


def _means(variable: str, layout: Layout) -> str:
    """The sum or mean of the numbers of each part."""
    if layout.whole:
        return f"as.matrix({'sum' if layout.summed else 'mean'}({variable}))"
    rows = "nrow(P)" if layout.parts == layout.vectors else f"nrow(P) / {layout.vectors}"
    parts = f"matrix({variable}, rows={rows}, cols={layout.numbers})"
    if layout.numbers == 1:
        return parts
    return f"{'rowSums' if layout.summed else 'rowMeans'}({parts})"


def _inputs(graph: Graph, vectors: int) -> list[str]:
    """The statements that reshape each example to a row."""
    return [
        f"{graph.names[source_of(value)]}_batch = matrix({name}, rows=nrow({name}) / {vectors},"
        f" cols=ncol({name}) * {vectors})"
        for value, name in zip(graph.inputs, ("P", "Y"), strict=True)
    ]


def _forward_lines(graph: Graph, forward: Forward) -> list[str]:
    """The constants, and the statements of the forward pass."""
    constants = []
    for name, constant in graph.constants():
        rows, columns = constant.matrix.shape
        numbers = " ".join(map(repr, constant.matrix.ravel().astype(float).tolist()))
        constants.append(f"{name} = matrix({syntax.quoted(numbers)}, rows={rows}, cols={columns})")
    return [*constants, *forward.setup, *forward.lines]


def define(name: str, results: tuple[str, ...], body: list[str]) -> str:
    """Add a function with this body to the library, and return its name."""
    returned = ", ".join(f"matrix[double] {result}" for result in results)
    for number in count(1):
        unused = syntax.identifier(f"{name}_{number}" if number > 1 else name)
        head = f"{unused} = function(matrix[double] P, matrix[double] Y)\n    return ({returned})"
        text = "\n".join(syntax.block(head, body)) + "\n"
        (defined,) = syntax.functions(text)
        present = syntax.library().get(unused)
        if present is None:
            syntax.define(text)
        if present is None or present.text == defined.text:
            return unused
    raise AssertionError
