"""The training script: mini-batches in the order of the rows, each a step of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass

from keras2dml import dml
from keras2dml.backward import Backward
from keras2dml.graph import Graph, Value
from keras2dml.losses import Loss
from keras2dml.optimizers import Optimizer
from keras2dml.rendering import Forward, Script, described
from keras2dml.scoring import ROWS_AT_ONCE, batches, inputs

SCALARS = ("batch_size", "iterations", "iteration_before", "learning_rate", "seed")


@dataclass(frozen=True, eq=False)
class Objective:
    """What training makes small: the loss of each output, and their names."""

    graph: Graph
    losses: tuple[Loss, ...]
    names: tuple[str, ...]
    of_classes: tuple[bool, ...]
    """Whether the targets of an output are class numbers from 1, (N, T), or (N, T * K) numbers."""

    @property
    def several(self) -> bool:
        """Whether there is more than one output."""
        return len(self.losses) > 1

    @property
    def targets(self) -> tuple[str, ...]:
        """What scripts call the targets of each output: `Y`, or `Y_1` and so on."""
        return tuple(f"Y_{n}" if self.several else "Y" for n, _ in enumerate(self.losses, 1))

    @property
    def columns(self) -> tuple[str, ...]:
        """What is recorded of each iteration, a column each."""
        own = [f"{name}_{kind}" for name in self.names for kind in ("loss", "accuracy")]
        return ("loss", *own, "rows") if self.several else ("loss", "accuracy", "rows")

    def described(self) -> list[str]:
        """What the targets are, for a comment."""
        return [
            f"{name}: "
            + (
                f"class numbers from 1 (N x {value.size // value.shape[-1]})"
                if of_classes
                else f"probabilities (N x {value.size})"
            )
            for name, value, of_classes in zip(
                self.targets, self.graph.outputs, self.of_classes, strict=True
            )
        ]


def render(objective: Objective, optimizer: Optimizer) -> Script:
    """The script that runs `iterations` steps from number `iteration_before` on, and leaves
    weights, state, `history`.

    An epoch is all rows; its last batch may be smaller. `history` has the objective's columns, as
    they are before each update.
    """
    graph = objective.graph
    forward = Forward.of(graph, training=True)
    backward = Backward(forward)
    measured = _Measured(objective, forward, backward)
    backward.run([call for loss in objective.losses for call in loss.skips])
    state = {
        one.name: [f"{one.name}_{kept}" for kept in optimizer.state] for one in backward.trained
    }
    changed = [name for name in _assigned(forward) if name not in state]
    step = [
        "iteration = iteration_before + i",
        "begin = ((iteration - 1) %% batches) * batch_size + 1",
        f"end = min(begin + batch_size - 1, nrow({graph.input_name(graph.input)}))",
        "rows = end - begin + 1",
        *batches(forward),
        *measured.wanted,
        "",
        *forward.lines,
        "",
        *measured.lines,
        *backward.lines,
        "",
        *(_update(weight, optimizer, state[weight]) for weight in state),
        "",
        *measured.recorded("history[i, {column}] = as.matrix({value})"),
    ]
    body = [
        f"batches = ceil(nrow({graph.input_name(graph.input)}) / batch_size)",
        f"history = matrix(0, rows=iterations, cols={len(objective.columns)})",
        *forward.setup,
        *dml.block("for (i in 1:iterations)", step),
    ]
    kept = tuple(name for names in state.values() for name in names)
    header = [
        f"Trains the Keras model {graph.name!r}; compiled by keras2dml.",
        "",
        *described(graph),
        *objective.described(),
        f"state of the optimizer, as its weights: {', '.join(kept) or 'none'}",
        f"scalars: {', '.join(SCALARS)}",
        f"history (iterations x {len(objective.columns)}): {', '.join(objective.columns)}",
    ]
    used = [*forward.used, *measured.used, *backward.used, f"{optimizer.function}_update"]
    read = (*inputs(graph), *objective.targets, *kept, *SCALARS)
    return Script(dml.script(header, used, body), read, (*state, *changed, *kept, "history"))


def evaluation(objective: Objective) -> Script:
    """The script that leaves the objective's columns for the model as it stands over all rows, as
    `measured` (1, columns).
    """
    graph = objective.graph
    forward = Forward.of(graph, training=False)
    measured = _Measured(objective, forward, None)
    first = graph.input_name(graph.input)
    body = [
        f"measured = matrix(0, rows=1, cols={len(objective.columns)})",
        *forward.setup,
        *dml.block(
            f"for (begin in seq(1, nrow({first}), {ROWS_AT_ONCE}))",
            [
                f"end = min(begin + {ROWS_AT_ONCE - 1}, nrow({first}))",
                "rows = end - begin + 1",
                *batches(forward),
                *measured.wanted,
                *forward.lines,
                *measured.lines,
                *measured.recorded(
                    "measured[1, {column}] = measured[1, {column}] + rows * {value}"
                ),
            ],
        ),
        f"measured = measured / nrow({first})",
    ]
    header = [f"Measures the Keras model {graph.name!r}; compiled by keras2dml."]
    text = dml.script(header, [*forward.used, *measured.used], body)
    return Script(text, (*inputs(graph), *objective.targets), ("measured",))


class _Measured:
    """The statements from outputs and targets to losses, accuracies and first gradients.

    Without `backward` the gradients go nowhere.
    """

    def __init__(self, objective: Objective, forward: Forward, backward: Backward | None) -> None:
        self.objective = objective
        self.wanted: list[str] = []
        self.lines: list[str] = []
        self.used: list[str] = []
        for number, (loss, target) in enumerate(
            zip(objective.losses, objective.targets, strict=True)
        ):
            output = objective.graph.outputs[number]
            self._target(output, target, of_classes=objective.of_classes[number])
            taken = forward[loss.takes]
            gradient = backward.add(loss.takes) if backward else "gradient"
            parts = output.size // output.shape[-1]
            folds = loss.takes.rows != parts
            self.used.append(loss.function)
            self.lines += [
                dml.call(
                    loss.function,
                    ["losses", "gradient"],
                    {"P": _rows(taken, output, folds), "Y": f"{target}_batch"},
                ),
                f"{target}_loss = mean(losses)",
                f"{gradient} = {_back('gradient', taken, folds)} / nrow(losses)",
                f"{target}_hits = mean(rowIndexMax({_rows(forward[output], output, parts > 1)})"
                f" == rowIndexMax({target}_batch))",
            ]
        losses = [f"{target}_loss" for target in objective.targets]
        self.lines.append(f"loss = {' + '.join(losses)}")

    def _target(self, output: Value, target: str, *, of_classes: bool) -> None:
        classes = output.shape[-1]
        parts = output.size // classes
        rows = f"{target}[begin:end,]"
        if of_classes:
            several = "rows" if parts == 1 else f"rows * {parts}"
            flat = rows if parts == 1 else f"matrix({rows}, rows={several}, cols=1)"
            made = f"table(seq(1, {several}), {flat}, {several}, {classes})"
        else:
            made = rows if parts == 1 else f"matrix({rows}, rows=rows * {parts}, cols={classes})"
        self.wanted.append(f"{target}_batch = {made}")

    def recorded(self, statement: str) -> list[str]:
        """The statement for each column of the objective."""
        own = [f"{target}_{kind}" for target in self.objective.targets for kind in ("loss", "hits")]
        values = ["loss", *own, "rows"] if self.objective.several else ["loss", own[1], "rows"]
        return [
            statement.format(column=column, value=value) for column, value in enumerate(values, 1)
        ]


def _rows(variable: str, output: Value, folds: bool) -> str:
    """A variable with a row for each vector along the last axis of an output."""
    parts = output.size // output.shape[-1]
    return (
        f"matrix({variable}, rows=nrow({variable}) * {parts}, cols={output.shape[-1]})"
        if folds
        else variable
    )


def _back(gradient: str, variable: str, folds: bool) -> str:
    return (
        f"matrix({gradient}, rows=nrow({variable}), cols=ncol({variable}))" if folds else gradient
    )


def _assigned(forward: Forward) -> list[str]:
    """The parameters that the forward pass of training itself changes."""
    names = {one.name for one in forward.graph.parameters}
    made = [
        name
        for call in forward.graph.calls
        if forward.function(call) != "identity"
        for name in forward.results(call)[1:]
    ]
    return list(dict.fromkeys(name for name in made if name in names))


def _update(weight: str, optimizer: Optimizer, state: list[str]) -> str:
    arguments = {
        "W": weight,
        "dW": f"d_{weight}",
        "learning_rate": "learning_rate",
        "step": "iteration",
        **dict(zip(optimizer.state, state, strict=True)),
        **{name: dml.literal(value) for name, value in optimizer.constants.items()},
    }
    return dml.call(f"{optimizer.function}_update", [weight, *state], arguments)
