"""The scoring script: all rows of X to the model's output, a block of rows at a time."""

from __future__ import annotations

from keras2dml import dml
from keras2dml.graph import Graph
from keras2dml.rendering import Forward, Script, described

# Rows that are scored at once: enough to keep the kernels busy, few enough to stay in the cache and
# in memory.
ROWS_AT_ONCE = 250


def render(graph: Graph) -> Script:
    """The script that reads X (N, D) and the weights, and leaves the model's `output` (N, K)."""
    forward = Forward.of(graph, "X_batch", training=False)
    output = forward[graph.output]
    body = [
        f"output = matrix(0, rows=nrow(X), cols={graph.output.size})",
        *dml.block(
            f"for (begin in seq(1, nrow(X), {ROWS_AT_ONCE}))",
            [
                f"end = min(begin + {ROWS_AT_ONCE - 1}, nrow(X))",
                "X_batch = X[begin:end,]",
                *forward.lines,
                f"output[begin:end,] = {output}",
            ],
        ),
    ]
    header = [
        f"Scores rows with the Keras model {graph.name!r}; compiled by keras2dml.",
        "",
        *described(graph),
        f"output (N x {graph.output.size}): what the model makes of them",
    ]
    weights = tuple(weight.name for weight in graph.weights())
    return Script(dml.script(header, forward.used, body), ("X", *weights), ("output",))
