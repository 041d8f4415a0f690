"""The functions that executors run on the rows of a DataFrame, a batch at a time."""

from __future__ import annotations

from keras2dml.dml import syntax
from keras2dml.graph import Graph
from keras2dml.rendering.forward import Forward, Script
from keras2dml.scripts import columns, score
from keras2dml.scripts.batch_function import BatchFunction

CHECK, FEATURES = "check", "features"
"""The function that checks a batch, and its argument."""
_ROWS, _COUNTS = "rows", ("broken", "outside")
_NUMBERS = 1 << 22
"""How many numbers a layer may have in a batch, which each task holds."""


def render(graph: Graph) -> Script:
    """The script with the functions `check`, from the features of a batch to what the model's input
    takes and the counts of numbers that are not finite, and out of range, and `score`, from that to
    the model's output. It is compiled, not run.
    """
    forward = Forward.of(graph, training=False)
    (value,) = graph.inputs
    name = graph.input_name(value)
    lines = [columns.broken(FEATURES), f"{_ROWS} = {FEATURES}", *columns.cast(_ROWS, value)]
    check = BatchFunction(CHECK, (FEATURES,), (_ROWS, *_COUNTS), tuple(lines))
    scored = score.batch_function(forward)
    weights = score.inputs(graph)[1:]
    # An MLContext takes the sizes of what is read from the script that it ran last, by its name.
    first, *others = (f"unread_{n}" for n in range(len(weights) + 1))
    arguments = ", ".join([_ROWS, *others, "1", f"nrow({_ROWS})"])
    (result,) = scored.results
    body = [
        *(f"{variable} = read('')" for variable in (first, *others)),
        f"[{', '.join(check.results)}] = {CHECK}({first})",
        f"{result} = {scored.name}({arguments})",
        *(f"write({variable}, '')" for variable in (*_COUNTS, result)),
    ]
    text = syntax.script([], forward.calls, body, [check.text, scored.text])
    return Script(text, (name, *weights), scored.results, graph.single)


def batch_size(graph: Graph) -> int:
    """How many rows are scored at a time: fewer where a layer's output is large."""
    values = [*graph.inputs, *graph.outputs, *(v for call in graph.calls for v in call.inputs)]
    return max(1, min(score.ROWS_AT_ONCE, _NUMBERS // max(value.size for value in values)))


def preparation(graph: Graph) -> Script | None:
    """The script that makes of constants what `score` takes, under the same names; None if it takes
    them as they are.
    """
    forward = Forward.of(graph, training=False)
    if not forward.setup:
        return None
    prepared = (
        graph.names[constant]
        for call in graph.calls
        for constant in call.constants
        if constant.prepared is not None
    )
    names = tuple(dict.fromkeys(prepared))
    return Script(syntax.script([], forward.calls, forward.setup), names, names)
