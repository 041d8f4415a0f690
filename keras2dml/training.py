"""The training script: mini-batches in the order of the rows, each a step of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keras2dml import dml
from keras2dml.backward import Backward
from keras2dml.graph import Parameter
from keras2dml.measuring import Measuring
from keras2dml.objective import Objective
from keras2dml.optimizers import Optimizer
from keras2dml.regularizers import Constraint
from keras2dml.rendering import Forward, Script, described
from keras2dml.scoring import IN_ORDER, PICKED, batches, inputs

SCALARS = ("batch_size", "iterations", "iteration_before", "batch_before", "seed")
AVERAGE = "model_variables_moving_average"


def render(
    objective: Objective,
    optimizer: Optimizer,
    constraints: Mapping[str, Constraint],
    *,
    shuffled: bool = False,
) -> Script:
    """The script that runs `iterations` steps from number `iteration_before` on, the first of them
    on batch `batch_before` + 1, and leaves weights, state, `history`.

    An epoch is all rows, in the order of the row numbers `order` (N, 1) if it is `shuffled`; its
    last batch may be smaller. `schedule` has a row for each step: the learning rate, and what else
    the optimizer schedules. `history` has the sums of the objective's columns, as they are before
    each update.
    """
    graph = objective.graph
    forward = Forward.of(graph, training=True)
    backward = Backward(forward)
    measuring = Measuring(objective, forward, backward, PICKED if shuffled else IN_ORDER)
    backward.run()
    updates = _Updates(optimizer, constraints, backward.trained)
    first = graph.input_name(graph.input)
    changed = [name for name in _assigned(forward) if name not in updates.weights]
    step = [
        "iteration = iteration_before + i",
        "begin = ((batch_before + i - 1) %% batches) * batch_size + 1",
        f"end = min(begin + batch_size - 1, nrow({first}))",
        "rows = end - begin + 1",
        *([f"picked = table(seq(1, rows), order[begin:end,], rows, nrow({first}))"] * shuffled),
        *batches(forward, PICKED if shuffled else IN_ORDER),
        *measuring.wanted,
        "",
        *forward.lines,
        "",
        *measuring.lines,
        *backward.lines,
        "",
        *updates.lines(),
        "",
        f"history[i,] = {measuring.sums}",
    ]
    columns = sum(count for _, count, _ in objective.columns())
    body = [
        f"batches = ceil(nrow({first}) / batch_size)",
        f"history = matrix(0, rows=iterations, cols={columns})",
        *forward.setup,
        *dml.block("for (i in 1:iterations)", step),
    ]
    kept = tuple(updates.kept())
    header = [
        f"Trains the Keras model {graph.name!r}; compiled by keras2dml.",
        "",
        *described(graph),
        *objective.described(),
        f"state of the optimizer, as its weights: {', '.join(kept) or 'none'}",
        f"schedule (iterations x {1 + (optimizer.step.factors is not None)}): learning rates first",
        *(["order (N x 1): the numbers of the rows in the order of an epoch"] * shuffled),
        f"scalars: {', '.join(SCALARS)}",
        f"history (iterations x {columns}): sums for "
        + ", ".join(name for name, *_ in objective.columns()),
    ]
    used = [*forward.used, *measuring.used, *backward.used, *updates.used]
    read = (*inputs(graph), *objective.targets, *objective.weights, *kept, "schedule", *SCALARS)
    read += ("order",) * shuffled
    left = (*updates.weights, *changed, *kept, "history")
    return Script(dml.script(header, used, body), read, left)


def evaluation(objective: Objective) -> Script:
    """The script that leaves the sums of the objective's columns for the model as it stands over
    all rows, `batch_size` at a time, as `measured` (1, columns).
    """
    graph = objective.graph
    forward = Forward.of(graph, training=False, measuring=True)
    measuring = Measuring(objective, forward, None)
    first = graph.input_name(graph.input)
    columns = sum(count for _, count, _ in objective.columns())
    body = [
        f"measured = matrix(0, rows=1, cols={columns})",
        *forward.setup,
        *dml.block(
            f"for (begin in seq(1, nrow({first}), batch_size))",
            [
                f"end = min(begin + batch_size - 1, nrow({first}))",
                "rows = end - begin + 1",
                *batches(forward),
                *measuring.wanted,
                *forward.lines,
                *measuring.lines,
                f"measured = measured + {measuring.sums}",
            ],
        ),
    ]
    header = [f"Measures the Keras model {graph.name!r}; compiled by keras2dml."]
    text = dml.script(header, [*forward.used, *measuring.used], body)
    read = (*inputs(graph), *objective.targets, *objective.weights, "batch_size")
    return Script(text, read, ("measured",))


class _Updates:
    """The statements of one step on every weight that is trained."""

    def __init__(
        self, optimizer: Optimizer, constraints: Mapping[str, Constraint], trained: list[Parameter]
    ) -> None:
        self.optimizer, self.constraints = optimizer, constraints
        self.weights = [one.name for one in trained]
        self.decayed = {
            one.name for one in trained if optimizer.decay and optimizer.decays(one.weight.variable)
        }
        self.factors = {one.name: optimizer.factor(one.weight.variable) for one in trained}
        self.used: list[str] = []

    def kept(self) -> Iterator[str]:
        """The matrices that the optimizer keeps."""
        for weight in self.weights:
            yield from (f"{weight}_{state}" for state in self.optimizer.state)

    def lines(self) -> list[str]:
        """The statements, in Keras' order: clip, decay, step, average, constrain."""
        optimizer = self.optimizer
        lines = ["learning_rate = as.scalar(schedule[i, 1])"]
        if optimizer.step.factors is not None:
            lines.append("product = as.scalar(schedule[i, 2])")
        steps = [
            *self._clipped(),
            *(line for weight in self.weights for line in self._step(weight)),
        ]
        if optimizer.accumulated > 1:
            lines += self._accumulated(steps)
        else:
            lines += steps
        if optimizer.average is not None:
            lines += self._averaged(optimizer.average)
        return [*lines, *(line for weight in self.weights for line in self._constrained(weight))]

    def _clipped(self) -> Iterator[str]:
        optimizer = self.optimizer
        gradients = [f"d_{weight}" for weight in self.weights]
        if optimizer.global_clipnorm and not optimizer.clipnorm:
            limit = dml.literal(optimizer.global_clipnorm)
            yield f"norm = sqrt({' + '.join(f'sum({one} ^ 2)' for one in gradients)})"
            yield f"share = {limit} * min(1 / norm, 1 / {limit})"
            yield from (f"{one} = {one} * share" for one in gradients)
            return
        limit_of = {"clipped_by_norm": optimizer.clipnorm, "clipped_by_value": optimizer.clipvalue}
        function = next((name for name, limit in limit_of.items() if limit), None)
        if function:
            self.used.append(function)
            limit = dml.literal(limit_of[function] or 0.0)
            for one in gradients:
                yield dml.call(function, [one], {"dW": one, "limit": limit})

    def _step(self, weight: str) -> Iterator[str]:
        optimizer, step = self.optimizer, self.optimizer.step
        if weight in self.decayed:
            yield f"{weight} = {weight} - {weight} * {dml.literal(optimizer.decay)} * learning_rate"
        factor = self.factors[weight]
        arguments = {
            "W": weight,
            "dW": f"d_{weight}",
            "learning_rate": f"learning_rate * {dml.literal(factor)}"
            if factor != 1
            else "learning_rate",
            "product": "product",
            "step": self._steps,
            **{state: f"{weight}_{state}" for state in step.state},
            **{name: dml.literal(value) for name, value in step.constants.items()},
        }
        function = f"{step.function}_update"
        self.used.append(function)
        yield dml.call(
            function, [weight, *(f"{weight}_{state}" for state in step.state)], arguments
        )

    @property
    def _steps(self) -> str:
        """The steps made, this one counted: of several iterations, where gradients add up."""
        count = self.optimizer.accumulated
        return f"(iteration + {count - 1}) %/% {count}" if count > 1 else "iteration"

    def _accumulated(self, steps: list[str]) -> list[str]:
        """Steps that are made every so many iterations, with the mean of the gradients."""
        count = self.optimizer.accumulated
        sums = [f"{weight}_accumulated_gradients" for weight in self.weights]
        added = [
            f"{total} = {total} + d_{one}" for total, one in zip(sums, self.weights, strict=True)
        ]
        means = [
            f"d_{one} = {total} / {count}" for total, one in zip(sums, self.weights, strict=True)
        ]
        return [
            *added,
            *dml.block(
                f"if (iteration %% {count} == 0)",
                [*means, *steps, *(f"{total} = {total} * 0" for total in sums)],
            ),
        ]

    def _averaged(self, momentum: float) -> list[str]:
        averages = {weight: f"{weight}_{AVERAGE}" for weight in self.weights}
        lines = [f"kept = as.double({self._steps} > 1) * {dml.literal(momentum)}"]
        lines += [
            f"{average} = kept * {average} + (1 - kept) * {weight}"
            for weight, average in averages.items()
        ]
        if self.optimizer.overwritten:
            lines += dml.block(
                f"if (({self._steps}) %% {self.optimizer.overwritten} == 0)",
                [f"{weight} = {average}" for weight, average in averages.items()],
            )
        return lines

    def _constrained(self, weight: str) -> Iterator[str]:
        constraint = self.constraints.get(weight)
        if constraint is None:
            return
        arguments = {"W": weight, "norms": f"{weight}_norms"}
        if constraint.norms:
            self.used.append(constraint.norms)
            yield dml.call(constraint.norms, [arguments["norms"]], {"W": weight})
        constants = {name: dml.literal(value) for name, value in constraint.constants.items()}
        self.used.append(constraint.function)
        yield dml.call(constraint.function, [weight], {**arguments, **constants})


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
