"""A user's loss and metric functions of Keras operations, as DML functions.

As the library's loss functions, they take rows of predictions P and of targets Y, one for each
vector along the last axis of an output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras2dml.graph import (
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
from keras2dml.rendering import functions
from keras2dml.rendering.functions import Layout
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
    parts of the batch; so do rows of a `whole` one depend on the batch. Other functions return
    numbers for each vector, exactly one if `single`.
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
    layout = Layout.of(graph.output, output, summed=summed)
    body = functions.loss(graph, layout) if as_loss else functions.metric(graph, layout)
    results = ("losses", "gradient") if as_loss else ("counts" if layout.scalar else "values",)
    vectors_of = layout.parts == layout.vectors
    return DmlFunction(
        functions.define(name, results, body),
        takes,
        layout.scalar,
        layout.whole or _is_mixed(layout.value),
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


def _is_mixed(value: Value) -> bool:
    """Whether what it has for an example depends on the others of a batch."""
    return any(is_whole(part) for step in calls_of((value,)) for part in step.inputs)


def _origins(value: Value) -> set[Call]:
    """The calls that compute a value, or the rows from which it is folded."""
    source = source_of(value)
    return {source} | ({source_of(source.inputs[0])} if source.function == FOLD else set())
