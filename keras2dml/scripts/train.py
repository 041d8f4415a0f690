"""The training script: mini-batches in the order of the rows, with an optimizer step for each."""

from __future__ import annotations

from collections.abc import Mapping

from keras2dml.dml import syntax
from keras2dml.objectives.objective import Objective
from keras2dml.objectives.optimizers import Optimizer
from keras2dml.objectives.regularizers import Constraint
from keras2dml.rendering.forward import Forward, Script
from keras2dml.scripts.batch_function import BatchFunction
from keras2dml.scripts.learning import LearningStep
from keras2dml.scripts.measuring import Measures
from keras2dml.scripts.score import BOUNDS, IN_ORDER, PICKED, batches, inputs

SCALARS = ("batch_size", "iterations", "iteration_before", "batch_before", "seed")


def render(
    objective: Objective,
    optimizer: Optimizer,
    constraints: Mapping[str, Constraint],
    *,
    shuffled: bool = False,
    loop: str | None = None,
) -> Script:
    """The script that runs `iterations` steps after number `iteration_before`, the first of them on
    batch `batch_before` + 1, and outputs weights, state and `history`.

    An epoch is all rows, in the order of the row numbers `order` (N, 1) if `shuffled`; its last
    batch may be smaller. `schedule` has a row for each step: the learning rate, and other scheduled
    numbers of the optimizer. `history` has the sums of the objective's columns before each update.
    With a `loop`, "for" or "parfor", a batch is processed in parts of `part_size` rows, whose
    gradients are added.
    """
    rows = PICKED if shuffled else IN_ORDER
    learning = LearningStep.of(objective, optimizer, constraints, rows, split=loop is not None)
    forward, measures, updates = learning.forward, learning.measures, learning.updates
    graph, columns = objective.graph, measures.columns
    first = graph.input_name(graph.input)
    batch = [
        "rows = end - begin + 1",
        *([f"picked = table(seq(1, rows), order[begin:end,], rows, nrow({first}))"] * shuffled),
        *batches(forward, rows),
        *learning.gradients,
    ]
    own: tuple[str, ...] = ()
    if loop is None:
        function = _step(learning, batch, shuffled=shuffled)
        own = (function.text,)
        learn = [*function.call, "history[i,] = sums"]
    else:
        learn = [
            *_in_parts(batch, loop, learning),
            *measures.penalties,
            "",
            *updates.lines,
            "",
            "history[i,] = colSums(sums)",
            *measures.penalized_sum("history[i, 1]"),
        ]
    step = [
        "iteration = iteration_before + i",
        "begin = ((batch_before + i - 1) %% batches) * batch_size + 1",
        f"end = min(begin + batch_size - 1, nrow({first}))",
        *updates.scheduled.values(),
        *learn,
    ]
    body = [
        f"batches = ceil(nrow({first}) / batch_size)",
        f"history = matrix(0, rows=iterations, cols={columns})",
        *forward.setup,
        *syntax.block("for (i in 1:iterations)", step),
    ]
    scalars = (*SCALARS, *(["part_size"] if loop else []))
    notes = (
        f"schedule (iterations x {1 + (optimizer.factors is not None)}): learning rates first",
        *(["order (N x 1): the numbers of the rows in the order of an epoch"] * shuffled),
        f"scalars: {', '.join(scalars)}",
        f"history (iterations x {columns}): sums for "
        + ", ".join(name for name, *_ in objective.columns()),
    )
    title = f"Trains the Keras model {graph.name!r}"
    return learning.script(
        title,
        body,
        scalars,
        notes,
        shuffled=shuffled,
        changed=tuple(learning.assigned),
        own=own,
    )


def _step(learning: LearningStep, batch: list[str], *, shuffled: bool) -> BatchFunction:
    """The function `step`, from weights and the optimizer's state to those after a batch, with the
    sums of the batch.
    """
    updates, measures = learning.updates, learning.measures
    return BatchFunction(
        "step",
        (*_rows_of(learning.objective), *(["order"] * shuffled), *updates.state),
        (*updates.weights, *learning.assigned, *updates.state, "sums"),
        (*batch, *measures.penalties, "", *updates.lines, "", f"sums = {measures.sums}"),
        (*BOUNDS, *updates.scheduled),
        ("iteration", "seed"),
    )


def _rows_of(objective: Objective) -> tuple[str, ...]:
    """The matrices of a batch's sums: inputs, weights and constants, targets, sample weights."""
    return (*inputs(objective.graph), *objective.targets, *objective.weights)


def _in_parts(batch: list[str], loop: str, learning: LearningStep) -> list[str]:
    """A batch in parts: the gradients and sums of each part are a row, and rows are added up."""
    gradients, measures = learning.updates.gradients, learning.measures
    parts = [
        "begin = first + (part - 1) * part_size",
        "end = min(begin + part_size - 1, last)",
        *batch,
        "",
        *(
            f"parts_{name}[part,] = matrix({name}, rows=1, cols={shape[0] * shape[1]})"
            for name, shape in gradients.items()
        ),
        f"sums[part,] = {measures.sums}",
    ]
    return [
        "first = begin",
        "last = end",
        "group = end - begin + 1",
        "parts = as.integer(ceil(group / part_size))",
        *(
            f"parts_{name} = matrix(0, rows=parts, cols={shape[0] * shape[1]})"
            for name, shape in gradients.items()
        ),
        f"sums = matrix(0, rows=parts, cols={measures.columns})",
        *syntax.block(loop, parts),
        *(
            f"{name} = matrix(colSums(parts_{name}), rows={shape[0]}, cols={shape[1]})"
            for name, shape in gradients.items()
        ),
    ]


def evaluation(objective: Objective) -> Script:
    """The script that computes the sums of the objective's columns without training, for batches of
    `batch_size` rows, as `measured` (batches, columns).
    """
    graph = objective.graph
    forward = Forward.of(graph, training=False, measuring=True)
    measures = Measures.of(objective, forward)
    first = graph.input_name(graph.input)
    function = BatchFunction(
        "evaluate",
        _rows_of(objective),
        ("sums",),
        (
            "rows = end - begin + 1",
            *batches(forward),
            *measures.labels,
            *forward.lines,
            *measures.lines,
            *measures.penalties,
            f"sums = {measures.sums}",
        ),
        BOUNDS,
    )
    body = [
        f"measured = matrix(0, rows=ceil(nrow({first}) / batch_size), cols={measures.columns})",
        *forward.setup,
        *syntax.block(
            f"for (begin in seq(1, nrow({first}), batch_size))",
            [
                f"end = min(begin + batch_size - 1, nrow({first}))",
                *function.call,
                "measured[(begin - 1) / batch_size + 1,] = sums",
            ],
        ),
    ]
    header = [f"Measures the Keras model {graph.name!r}; compiled by keras2dml."]
    statements = [*forward.calls, *measures.lines, *measures.penalties]
    text = syntax.script(header, statements, body, (function.text,))
    read = (*inputs(graph), *objective.targets, *objective.weights, "batch_size")
    return Script(text, read, ("measured",), graph.single)
