"""The scoring script: computes the model's outputs for all rows of X, block by block."""

from __future__ import annotations

from keras2dml.dml import syntax
from keras2dml.graph import Graph
from keras2dml.rendering.forward import Forward, Script, described
from keras2dml.scripts.batch_function import BatchFunction

# Rows per block: enough to keep kernels busy, few enough for cache and memory.
ROWS_AT_ONCE = 250
IN_ORDER, PICKED = "{}[begin:end,]", "picked %*% {}"
"""The rows of a batch: contiguous, or selected by a matrix with a single 1 in each row."""
BOUNDS = ("begin", "end")
"""The numbers of the first and of the last row of a batch, which a function of a script takes."""


def render(graph: Graph, *, whole: bool = False, loop: str | None = None) -> Script:
    """The script that reads the inputs (N, D) and the weights, and computes the model's outputs,
    each (N, K), with the names of `outputs`.

    Blocks of rows are scored in sequence, or by a `loop` over `block` in 1:blocks, or all rows as a
    `whole`.
    """
    forward = Forward.of(graph, training=False)
    results = outputs(graph)
    first = graph.input_name(graph.input)
    function = None if whole or loop else batch_function(forward)
    block = [
        *(function.call if function else [*batches(forward), *forward.lines]),
        *(
            f"{name}[begin:end,] = {_of_batch(name) if function else forward[value]}"
            for name, value in zip(results, graph.outputs, strict=True)
        ),
    ]
    last = f"end = min(begin + {ROWS_AT_ONCE - 1}, nrow({first}))"
    if whole:
        scored = ["begin = 1", f"end = nrow({first})", *block]
    elif loop is None:
        head = f"for (begin in seq(1, nrow({first}), {ROWS_AT_ONCE}))"
        scored = syntax.block(head, [last, *block])
    else:
        begin = f"begin = (block - 1) * {ROWS_AT_ONCE} + 1"
        blocks = f"blocks = ceil(nrow({first}) / {ROWS_AT_ONCE})"
        scored = [blocks, *syntax.block(loop, [begin, last, *block])]
    body = [
        *forward.setup,
        *(
            f"{name} = matrix(0, rows=nrow({first}), cols={value.size})"
            for name, value in zip(results, graph.outputs, strict=True)
        ),
        *scored,
    ]
    header = [
        f"Scores rows with the Keras model {graph.name!r}; compiled by keras2dml.",
        "",
        *described(graph),
        *(
            f"{name} (N x {value.size}): output of the model"
            for name, value in zip(results, graph.outputs, strict=True)
        ),
    ]
    own = [function.text] if function else []
    text = syntax.script(header, forward.calls, body, own)
    return Script(text, inputs(graph), results, graph.single)


def batch_function(forward: Forward) -> BatchFunction:
    """The function `score`, from the rows of a batch to the model's outputs for them."""
    graph = forward.graph
    results = {
        _of_batch(name): forward[value]
        for name, value in zip(outputs(graph), graph.outputs, strict=True)
    }
    lines = (f"{name} = {variable}" for name, variable in results.items())
    body = (*batches(forward), *forward.lines, *lines)
    return BatchFunction("score", inputs(graph), tuple(results), body, BOUNDS)


def _of_batch(output: str) -> str:
    return f"{output}_batch"


def inputs(graph: Graph) -> tuple[str, ...]:
    """The matrices that all scripts of a model read: its inputs, weights and constants."""
    rows = (graph.input_name(value) for value in graph.inputs)
    return (
        *rows,
        *(parameter.name for parameter in graph.parameters),
        *(name for name, _ in graph.constants()),
    )


def outputs(graph: Graph) -> tuple[str, ...]:
    """The names of the outputs in a script: `output`, or `output_1` and so on."""
    several = len(graph.outputs) > 1
    return tuple(f"output_{n}" if several else "output" for n, _ in enumerate(graph.outputs, 1))


def batches(forward: Forward, rows: str = IN_ORDER) -> list[str]:
    """The statements that select the rows of a batch from each input, by the expression `rows`."""
    graph = forward.graph
    return [
        f"{forward.batch(value)} = {rows.format(graph.input_name(value))}" for value in graph.inputs
    ]
