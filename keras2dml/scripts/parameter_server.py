"""The training script for SystemDS' parameter server, whose workers share a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from keras2dml.dml import syntax
from keras2dml.objectives.objective import Objective
from keras2dml.objectives.optimizers import Optimizer
from keras2dml.objectives.regularizers import Constraint
from keras2dml.rendering.forward import Script
from keras2dml.rendering.slices import moment_of
from keras2dml.scripts.algorithms import Server
from keras2dml.scripts.columns import apart
from keras2dml.scripts.learning import LearningStep

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
    learning = LearningStep.of(objective, optimizer, constraints, "{}", split=True)
    graph, updates = objective.graph, learning.updates
    frozen = [
        parameter.name for parameter in graph.parameters if parameter.name not in updates.weights
    ]
    constants = ("schedule", *frozen, *(name for name, _ in graph.constants()))
    model = (*updates.weights, *updates.state, "done", "history", *constants)
    features = {graph.input_name(value): value.size for value in graph.inputs}
    labels = _labels(objective)
    first = next(iter(features))
    rows = [*features, *([f"seq(1, nrow({first}))"] * learning.draws)]
    body = [
        *syntax.block(GRADIENTS, _gradients(learning, model, constants, features, labels)),
        "",
        *syntax.block(AGGREGATION, _aggregation(learning, model)),
        "",
        *learning.forward.setup,
        f"features = {_bound(rows)}",
        f"labels = {_bound(labels)}",
        *(_shuffled(first) if shuffled else []),
        f"examples = nrow({first})",
        "done = matrix(0, rows=1, cols=1)",
        f"history = matrix(0, rows=iterations, cols={learning.measures.columns})",
        f"model = list({', '.join(model)})",
        f"hyperparams = list({', '.join(f'{name}={name}' for name in HYPERPARAMETERS)})",
        "trained = paramserv(model=model, features=features, labels=labels,"
        ' upd=".defaultNS::gradients", agg=".defaultNS::aggregation",'
        f' mode="{server.mode}", utype="{server.utype}", freq="BATCH", epochs=1,'
        ' batchsize=part_size, k=workers, scheme="DISJOINT_CONTIGUOUS", hyperparams=hyperparams)',
        *_unpacked("trained", (*updates.weights, *updates.state, "history"), model),
    ]
    title = f"Trains the Keras model {graph.name!r} on a parameter server"
    notes = (f"scalars: {', '.join(SCALARS)}",)
    return learning.script(title, body, SCALARS, notes, shuffled=shuffled)


def _labels(objective: Objective) -> dict[str, int]:
    """The targets and sample weights, and how many columns each has."""
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
    return labels


def _gradients(
    learning: LearningStep,
    model: Sequence[str],
    constants: Sequence[str],
    features: Mapping[str, int],
    labels: Mapping[str, int],
) -> list[str]:
    """What a worker computes of its rows: the gradients, and the sums that are counted."""
    updates, measures = learning.updates, learning.measures
    return [
        *_unpacked("model", updates.weights, model),
        *_unpacked("model", constants[1:], model),
        *(_numbers(model) if learning.draws else []),
        *apart("features", {f"{name}_batch": size for name, size in features.items()}),
        *apart("labels", labels),
        "rows = nrow(features)",
        "group = 1",
        *learning.gradients,
        f"gradients = list({', '.join(updates.gradients)}, {measures.sums})",
    ]


def _aggregation(learning: LearningStep, model: Sequence[str]) -> list[str]:
    """What is done with the gradients of workers: a step of the optimizer."""
    updates, measures = learning.updates, learning.measures
    squares = {moment_of(weight, "squares") for weight in updates.weights}
    results = (*updates.gradients, "sums")
    return [
        *_unpacked("model", model, model),
        *_unpacked("gradients", results, results),
        "i = as.integer(sum(done)) + 1",
        'iteration = as.integer(as.scalar(hyperparams["iteration_before"])) + i',
        f"group = as.scalar(sums[1, {measures.columns}])",
        *(f"{name} = {name} / group{' ^ 2' * (name in squares)}" for name in updates.gradients),
        *measures.penalties,
        *updates.scheduled.values(),
        *updates.lines,
        "done = done + 1",
        "history[i,] = sums",
        *measures.penalized_sum("history[i, 1]"),
        f"updated = list({', '.join(model)})",
    ]


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


def _bound(matrices: Iterable[str]) -> str:
    names = list(matrices)
    return f"cbind({', '.join(names)})" if len(names) > 1 else names[0]


def _shuffled(first: str) -> list[str]:
    return [
        f"picked = table(seq(1, nrow({first})), order, nrow({first}), nrow({first}))",
        "features = picked %*% features",
        "labels = picked %*% labels",
    ]
