"""A user's loss and metric functions of Keras operations, as DML functions.

As the library's loss functions, they take rows of predictions P and of targets Y, one for each
vector along the last axis of an output.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from keras2dml.dml import syntax
from keras2dml.graph import (
    COLUMN_MEANS,
    FOLD,
    INPUT,
    SIGMOID,
    SOFTMAX,
    Call,
    Graph,
    Named,
    Value,
    calls_of,
    source_of,
)
from keras2dml.rendering.backward import Backward, Summand, gradient_name
from keras2dml.rendering.forward import Forward
from keras2dml.rules import Refusal, call
from keras2dml.rules.layouts import in_keras_order, of_vectors, squashed_by, vectors
from keras2dml.rules.operations.batches import is_whole, whole_batches
from keras2dml.rules.tracing import traced
from keras2dml.structure import Structure
from keras2dml.traits import Trait

NUMBERS = 100_000
"""How many numbers a function may have in its text."""


@dataclass(frozen=True, eq=False)
class DmlFunction:
    """A DML function and its input: `takes` is the output, or the input of the softmax or sigmoid
    that computes the output.

    A `scalar` function returns one number for a batch, which for a `whole` one is not the mean over
    parts of the batch. Other functions return numbers for each vector, exactly one if `single`.
    """

    name: str
    takes: Value
    scalar: bool
    whole: bool
    by_vector: bool
    single: bool


def define_function(
    function: Callable[..., Any],
    output: Value,
    logits: Value | None,
    subject: str,
    dtype: str,
    *,
    name: str,
    as_loss: bool = False,
    summed: bool = False,
) -> DmlFunction:
    """Add a DML function for a function of targets and predictions to the library. `logits` is the
    input of the softmax or sigmoid that computes the predictions, if there is one.

    A loss, `summed` or a mean, also gets its gradient. Raises Refusal for functions that are not
    compiled, with a message that begins with `subject`.
    """
    graph = _graph(function, output, None, subject, dtype)
    if logits is None or not _takes_probabilities(graph):
        takes = output
    else:
        graph, takes = _graph(function, output, logits, subject, dtype), logits
    layout = _Layout.of(graph.output, output, summed=summed)
    body = _loss(graph, layout) if as_loss else _metric(graph, layout)
    results = ("losses", "gradient") if as_loss else ("counts" if layout.scalar else "values",)
    vectors_of = layout.parts == layout.vectors
    return DmlFunction(
        _define(name, results, body),
        takes,
        layout.scalar,
        layout.whole,
        vectors_of and not layout.scalar,
        vectors_of and not layout.scalar and layout.numbers == 1,
    )


def _graph(
    function: Callable[..., Any], output: Value, logits: Value | None, subject: str, dtype: str
) -> Graph:
    """The function as a graph with inputs P and Y."""
    predictions, targets = (
        Value.of(output.shape).made_by(Call(INPUT, (), name, {"out": output.shape}))
        for name in ("P", "Y")
    )
    outputs = predictions if logits is None else _squashed(output, predictions)
    with whole_batches():
        results = traced(function, targets, outputs, subject=subject, name="step", dtype=dtype)
        if len(results) != 1:
            message = f"{subject}, which returns {len(results)} tensors. It must return one."
            raise Refusal(message)
        (result,) = results
        if not is_whole(result):
            result = in_keras_order("step", result)
    calls = calls_of((result,))
    names: dict[Named, str] = {source_of(predictions): "P", source_of(targets): "Y"}
    counts: Counter[str] = Counter()
    for step in calls:
        counts[step.function] += 1
        names[step] = f"step_{step.function}_{counts[step.function]}"
        for constant in step.constants:
            names[constant] = f"{names[step]}_{constant.argument}"
    numbers = sum(constant.matrix.size for step in calls for constant in step.constants)
    if numbers > NUMBERS:
        message = (
            f"{subject}, which contains {numbers} numbers, or moves as many elements. At most"
            f" {NUMBERS} are compiled: do that in the model."
        )
        raise Refusal(message)
    nameless = Structure("inputs", ()), Structure("outputs", ())
    inputs = (predictions, targets)
    return Graph("", inputs, (result,), calls, (), names, False, *nameless)


def _squashed(output: Value, logits: Value) -> Value:
    """The output, computed from its logits."""
    name, activation = "step", squashed_by(output)
    if activation is None or activation.function == SIGMOID:
        return call(name, SIGMOID, logits)
    return of_vectors(name, call(name, SOFTMAX, vectors(name, logits)), logits)


def _takes_probabilities(graph: Graph) -> bool:
    """Whether an operation treats the predictions as probabilities."""
    predictions = source_of(graph.inputs[0])
    return any(
        Trait.TAKES_PROBABILITIES in step.traits
        and any(predictions in _origins(value) for value in step.inputs[:1])
        for step in graph.calls
    )


def _origins(value: Value) -> set[Call]:
    """The calls that compute a value, or the rows from which it is folded."""
    source = source_of(value)
    return {source} | ({source_of(source.inputs[0])} if source.function == FOLD else set())


@dataclass(frozen=True, eq=False)
class _Layout:
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
    def of(cls, result: Value, output: Value, *, summed: bool) -> _Layout:
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


def _loss(graph: Graph, layout: _Layout) -> list[str]:
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


def _metric(graph: Graph, layout: _Layout) -> list[str]:
    """Statements for the values of the rows, or for the value and count of a batch."""
    forward = Forward.of(graph, training=True)
    lines = [*_inputs(graph, layout.vectors), *_forward_lines(graph, forward)]
    if layout.scalar:
        mean = f"as.matrix(mean({forward[graph.output]}))"
        return [*lines, f"counts = cbind({mean}, matrix(1, rows=1, cols=1))"]
    return [*lines, f"values = {_means(forward[layout.value], layout)}"]


def _means(variable: str, layout: _Layout) -> str:
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


def _define(name: str, results: tuple[str, ...], body: list[str]) -> str:
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
