"""An optimizer step on all trained weights, as DML statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keras2dml.dml import syntax
from keras2dml.graph import Parameter
from keras2dml.objectives.optimizers import Optimizer
from keras2dml.objectives.regularizers import Constraint
from keras2dml.rendering.slices import Slices

AVERAGE = "model_variables_moving_average"


@dataclass(frozen=True)
class Updates:
    """The statements of one step on every weight that is trained: `lines`, which take `gradients`,
    variables with their sizes, and change `weights` and the `state` of the optimizer. `scheduled`
    are the numbers that they take, with the statement for each, of step `i` of a schedule.
    """

    scheduled: Mapping[str, str]
    lines: tuple[str, ...]
    gradients: Mapping[str, tuple[int, int]]
    weights: tuple[str, ...]
    state: tuple[str, ...]

    @classmethod
    def of(
        cls,
        optimizer: Optimizer,
        constraints: Mapping[str, Constraint],
        trained: Sequence[Parameter],
        slices: Slices,
        others: Sequence[Parameter] = (),
    ) -> Updates:
        """The step of an optimizer on the `trained` parameters; the `others` that are trainable,
        but have no gradient, only have averages.
        """
        averaged = [other.name for other in others if optimizer.average is not None]
        weights = tuple(parameter.name for parameter in trained)
        gradients = {
            name: parameter.weight.matrix
            for parameter in trained
            for name in (f"d_{parameter.name}", *slices.variables(parameter.name))
        }
        state = tuple(
            f"{parameter.name}_{matrix}"
            for parameter in trained
            for matrix in optimizer.state(parameter.weight)
        )
        lines = _Lines(optimizer, constraints, trained, slices, averaged).all()
        if optimizer.overwritten:
            weights = (*weights, *averaged)
        state = (*state, *(f"{name}_{AVERAGE}" for name in averaged))
        columns = ("learning_rate", *(["product"] if optimizer.factors is not None else []))
        scheduled = {
            name: f"{name} = as.scalar(schedule[i, {column}])"
            for column, name in enumerate(columns, 1)
        }
        return cls(scheduled, tuple(lines), gradients, weights, state)


class _Lines:
    """How the statements of a step are written."""

    def __init__(
        self,
        optimizer: Optimizer,
        constraints: Mapping[str, Constraint],
        trained: Sequence[Parameter],
        slices: Slices,
        averaged: Sequence[str],
    ) -> None:
        self.optimizer, self.constraints, self.slices = optimizer, constraints, slices
        self.weights = [parameter.name for parameter in trained]
        self.averaged = [*self.weights, *averaged]
        self.steps = {parameter.name: optimizer.step(parameter.weight) for parameter in trained}
        self.decays = {
            parameter.name: optimizer.decay(parameter.weight.variable) for parameter in trained
        }
        self.factors = {
            parameter.name: optimizer.factor(parameter.weight.variable) for parameter in trained
        }

    def all(self) -> list[str]:
        """The statements, in Keras' order: clip, decay, step, average, constrain."""
        optimizer = self.optimizer
        steps = [
            *self._clipped(),
            *(line for weight in self.weights for line in self._step(weight)),
        ]
        lines = self._accumulated(steps) if optimizer.accumulated > 1 else steps
        if optimizer.average is not None:
            lines += self._averaged(optimizer.average)
        return [*lines, *(line for weight in self.weights for line in self._constrained(weight))]

    def _clipped(self) -> Iterator[str]:
        optimizer = self.optimizer
        if optimizer.global_clipnorm and not optimizer.clipnorm:
            limit = syntax.literal(optimizer.global_clipnorm)
            sums = (f"sum({self.slices.squares(weight)})" for weight in self.weights)
            yield f"norm = sqrt({' + '.join(sums)})"
            yield f"share = {limit} * min(1 / norm, 1 / {limit})"
            yield from (f"d_{weight} = d_{weight} * share" for weight in self.weights)
            return
        limit_of = {"clipped_by_norm": optimizer.clipnorm, "clipped_by_value": optimizer.clipvalue}
        function = next((name for name, limit in limit_of.items() if limit), None)
        if function:
            limit = syntax.literal(limit_of[function] or 0.0)
            for weight in self.weights:
                gradient = f"d_{weight}"
                if weight not in self.slices.weights:
                    yield syntax.call(function, [gradient], {"dW": gradient, "limit": limit})
                elif optimizer.clipnorm:
                    yield from self.slices.clipped_by_norm(weight, limit)

    def _step(self, weight: str) -> Iterator[str]:
        step, decay = self.steps[weight], self.decays[weight]
        if decay:
            yield f"{weight} = {weight} - {weight} * {syntax.literal(decay)} * learning_rate"
        factor = self.factors[weight]
        rate = f"learning_rate * {syntax.literal(factor)}" if factor != 1 else "learning_rate"
        arguments = {
            "W": weight,
            "dW": f"d_{weight}",
            **self.slices.arguments(weight),
            "learning_rate": rate,
            "product": "product",
            "step": self._steps,
            **{state: f"{weight}_{state}" for state in step.state},
            **{name: syntax.literal(value) for name, value in step.constants.items()},
        }
        function = f"{step.function}_update"
        yield syntax.call(
            function, [weight, *(f"{weight}_{state}" for state in step.state)], arguments
        )

    @property
    def _steps(self) -> str:
        """The number of steps including this one; with gradient accumulation a step is several
        iterations.
        """
        count = self.optimizer.accumulated
        return f"(iteration + {count - 1}) %/% {count}" if count > 1 else "iteration"

    def _accumulated(self, steps: list[str]) -> list[str]:
        """Steps after every few iterations, with the mean of the accumulated gradients."""
        count = self.optimizer.accumulated
        sums = [f"{weight}_accumulated_gradients" for weight in self.weights]
        added = [
            f"{total} = {total} + d_{weight}"
            for total, weight in zip(sums, self.weights, strict=True)
        ]
        means = [
            f"d_{weight} = {total} / {count}"
            for total, weight in zip(sums, self.weights, strict=True)
        ]
        return [
            *added,
            *syntax.block(
                f"if (iteration %% {count} == 0)",
                [*means, *steps, *(f"{total} = {total} * 0" for total in sums)],
            ),
        ]

    def _averaged(self, momentum: float) -> list[str]:
        averages = {weight: f"{weight}_{AVERAGE}" for weight in self.averaged}
        lines = [f"kept = as.double({self._steps} > 1) * {syntax.literal(momentum)}"]
        lines += [
            f"{average} = kept * {average} + (1 - kept) * {weight}"
            for weight, average in averages.items()
        ]
        if self.optimizer.overwritten:
            lines += syntax.block(
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
            yield syntax.call(constraint.norms, [arguments["norms"]], {"W": weight})
        constants = {name: syntax.literal(value) for name, value in constraint.constants.items()}
        yield syntax.call(constraint.function, [weight], {**arguments, **constants})
