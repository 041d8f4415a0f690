"""The training script for SystemDS' parameter server, whose workers share a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from keras2dml.dml import syntax
from keras2dml.objectives.objective import Objective
from keras2dml.objectives.optimizers import Optimizer
from keras2dml.objectives.regularizers import Constraint
from keras2dml.rendering.backward import Backward
from keras2dml.rendering.forward import Forward, Script, described
from keras2dml.rendering.slices import Slices, moment_of
from keras2dml.scripts.algorithms import Server
from keras2dml.scripts.measuring import Measuring
from keras2dml.scripts.score import inputs
from keras2dml.scripts.updates import Updates

HYPERPARAMETERS = ("iteration_before", "seed", "examples")
SCALARS = ("part_size", "workers", "iterations", "iteration_before", "seed")
GRADIENTS = (
    "gradients = function(list[unknown] model, list[unknown] hyperparams, matrix[double] features,"
    " matrix[double] labels)\n    return (list[unknown] gradients)"
)
AGGREGATION = (
    "aggregation = function(list[unknown] model, list[unknown] hyperparams, list[unknown]"
    " gradients)\n    return (list[unknown] updated)"
)


def render(
    objective: Objective,
    optimizer: Optimizer,
    constraints: Mapping[str, Constraint],
    server: Server,
    *,
    shuffled: bool = False,
) -> Script:
    """The script that trains one epoch on `workers`, each with a contiguous share of the rows, of
    which it takes `part_size` at a time.

    A worker returns sums over its rows, which add up across workers; the step divides them by the
    number of rows. All matrices are in the model: workers share hyperparameters, and a matrix there
    would be freed by the first worker that is done. Inputs and outputs are those of
    `train.render`.
    """
    graph = objective.graph
    forward = Forward.of(graph, training=True, split=True)
    slices = Slices(graph, optimizer, objective.regularizers)
    backward = Backward(forward, slices)
    measuring = Measuring(objective, forward, backward, "{}", split=True)
    backward.run()
    updates = Updates(optimizer, constraints, backward.trained, slices)
    columns = sum(count for _, count, _ in objective.columns())
    draws = any("seed" in forward.target(call).arguments for call in graph.calls)
    features = {graph.input_name(value): value.size for value in graph.inputs}
    labels = {
        **{
            target: goal.width
            for target, goal in zip(objective.targets, objective.goals, strict=True)
        },
        **dict.fromkeys(objective.weights, 0),
    }
    for name, goal in zip(objective.names("sample_weight"), objective.goals, strict=True):
        if goal.weighted:
            labels[name] = goal.vectors
    state = tuple(updates.state())
    frozen = [
        parameter.name for parameter in graph.parameters if parameter.name not in updates.weights
    ]
    constants = ("schedule", *frozen, *(name for name, _ in graph.constants()))
    model = (*updates.weights, *state, "done", "history", *constants)
    gradients = [
        *_unpacked("model", updates.weights, model),
        *_unpacked("model", constants[1:], model),
        *(_numbers(model) if draws else []),
        *_columns("features", {f"{name}_batch": size for name, size in features.items()}),
        *_columns("labels", labels),
        "rows = nrow(features)",
        "group = 1",
        *measuring.labels,
        "",
        *forward.lines,
        "",
        *measuring.lines,
        *backward.lines,
        f"gradients = list({', '.join(updates.gradients)}, {measuring.sums})",
    ]
    squares = {moment_of(weight, "squares") for weight in updates.weights}
    results = (*updates.gradients, "sums")
    aggregation = [
        *_unpacked("model", model, model),
        *_unpacked("gradients", results, results),
        "i = as.integer(sum(done)) + 1",
        'iteration = as.integer(as.scalar(hyperparams["iteration_before"])) + i',
        f"group = as.scalar(sums[1, {columns}])",
        *(f"{name} = {name} / group{' ^ 2' * (name in squares)}" for name in updates.gradients),
        *measuring.penalties,
        *updates.lines(),
        "done = done + 1",
        "history[i,] = sums",
        *measuring.penalized("history[i, 1]"),
        f"updated = list({', '.join(model)})",
    ]
    first = next(iter(features))
    rows = [*features, *([f"seq(1, nrow({first}))"] * draws)]
    body = [
        *syntax.block(GRADIENTS, gradients),
        "",
        *syntax.block(AGGREGATION, aggregation),
        "",
        *forward.setup,
        f"features = {_bound(rows)}",
        f"labels = {_bound(labels)}",
        *(_shuffled(first) if shuffled else []),
        f"examples = nrow({first})",
        "done = matrix(0, rows=1, cols=1)",
        f"history = matrix(0, rows=iterations, cols={columns})",
        f"model = list({', '.join(model)})",
        f"hyperparams = list({', '.join(f'{name}={name}' for name in HYPERPARAMETERS)})",
        "trained = paramserv(model=model, features=features, labels=labels,"
        ' upd=".defaultNS::gradients", agg=".defaultNS::aggregation",'
        f' mode="{server.mode}", utype="{server.utype}", freq="BATCH", epochs=1,'
        ' batchsize=part_size, k=workers, scheme="DISJOINT_CONTIGUOUS", hyperparams=hyperparams)',
        *_unpacked("trained", (*updates.weights, *state, "history"), model),
    ]
    scalars = SCALARS
    header = [
        f"Trains the Keras model {graph.name!r} on a parameter server; compiled by keras2dml.",
        "",
        *described(graph),
        *objective.described(),
        f"state of the optimizer, as its weights: {', '.join(state) or 'none'}",
        f"scalars: {', '.join(scalars)}",
    ]
    used = [*forward.used, *measuring.used, *backward.used, *updates.used]
    read = (*inputs(graph), *objective.targets, *objective.weights, *state, "schedule", *scalars)
    read += ("order",) * shuffled
    left = (*updates.weights, *state, "history")
    return Script(syntax.script(header, used, body), read, left, graph.single)


def _unpacked(entries: str, matrices: Iterable[str], names: Sequence[str]) -> list[str]:
    """The statements that get matrices from a list of matrices with these `names`."""
    return [f"{name} = as.matrix({entries}[{names.index(name) + 1}])" for name in matrices]


def _numbers(model: Sequence[str]) -> list[str]:
    """The statements for the numbers that seed random numbers: iteration, and first row."""
    return [
        *_unpacked("model", ["done"], model),
        'iteration = as.integer(as.scalar(hyperparams["iteration_before"]) + sum(done)) + 1',
        'seed = as.integer(as.scalar(hyperparams["seed"]))',
        'parts = as.integer(as.scalar(hyperparams["examples"]))',
        "part = as.integer(as.scalar(features[1, ncol(features)]))",
    ]


def _columns(matrix: str, widths: Mapping[str, int]) -> list[str]:
    """The statements that split a matrix into its blocks of columns."""
    lines, begin = [], 1
    for name, width in widths.items():
        lines.append(f"{name} = {matrix}[,{begin}:{begin + width - 1}]")
        begin += width
    return lines


def _bound(matrices: Iterable[str]) -> str:
    names = list(matrices)
    return f"cbind({', '.join(names)})" if len(names) > 1 else names[0]


def _shuffled(first: str) -> list[str]:
    return [
        f"picked = table(seq(1, nrow({first})), order, nrow({first}), nrow({first}))",
        "features = picked %*% features",
        "labels = picked %*% labels",
    ]
