"""The functions that executors run on rows of a DataFrame, a batch at a time."""

from __future__ import annotations

from keras2dml.dml import syntax
from keras2dml.graph import Graph
from keras2dml.rendering.forward import Forward, Script
from keras2dml.scripts import columns, score
from keras2dml.scripts.batch_function import BatchFunction

CHECK, SCORE = "check", "score"
FEATURES, ROWS, COUNTS = "features", "rows", ("broken", "outside")
"""The names of a batch as it is read, and as the model takes it; and of counts of numbers that are
no finite ones, and out of range.
"""


def render(graph: Graph) -> Script:
    """The script with the functions `check`, from the features of a batch to what the model's input
    takes and the counts, and `score`, from that to the model's output. It is compiled, not run.
    """
    forward = Forward.of(graph, training=False)
    (value,) = graph.inputs
    name = graph.input_name(value)
    lines = [columns.broken(FEATURES), f"{ROWS} = {FEATURES}", *columns.cast(ROWS, value)]
    check = BatchFunction(CHECK, (FEATURES,), (ROWS, *COUNTS), tuple(lines))
    scored = score.batch_function(forward)
    weights = score.inputs(graph)[1:]
    body = [
        *(f"{read} = read('')" for read in (FEATURES, *weights)),
        *check.call,
        f"{name} = {ROWS}",
        "begin = 1",
        f"end = nrow({name})",
        *scored.call,
        *(f"write({result}, '')" for result in (*COUNTS, *scored.results)),
    ]
    text = syntax.script([], forward.calls, body, [check.text, scored.text])
    return Script(text, (name, *weights), scored.results, graph.single)


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
