"""Losses and metrics of a batch as DML statements, with the gradients of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

from keras2dml.dml import syntax
from keras2dml.graph import PENALTY
from keras2dml.objectives.objective import Goal, Objective
from keras2dml.objectives.sums import Metric
from keras2dml.rendering.backward import Summand, gradient_name
from keras2dml.rendering.forward import Forward
from keras2dml.scripts.score import IN_ORDER


@dataclass(frozen=True)
class Measures:
    """The statements from the model's outputs and its targets to losses and sums.

    `labels` take the targets of a batch, `lines` leave the losses and their first gradients, which
    `summands` lists, and `penalties` come after the backward pass.
    """

    labels: tuple[str, ...]
    lines: tuple[str, ...]
    penalties: tuple[str, ...]
    sums: str
    """What is counted of a batch, (1, `columns`): an expression."""
    columns: int
    summands: tuple[Summand, ...]
    penalized: tuple[str, ...]
    """The weights that cost something."""

    @classmethod
    def of(
        cls,
        objective: Objective,
        forward: Forward,
        rows: str = IN_ORDER,
        *,
        learning: bool = False,
        split: bool = False,
    ) -> Measures:
        """The measures of an objective; with first gradients where the model is `learning`. Where a
        batch is `split`, the losses are the parts' shares in that of the whole, which has `group`
        rows. `rows` picks those of a batch.
        """
        writer = _Writer(objective, forward, rows, learning=learning, split=split)
        return cls(
            tuple(writer.labels),
            tuple(writer.lines),
            tuple(writer.penalties),
            f"cbind({', '.join(writer.sums)})",
            sum(count for _, count, _ in objective.columns()),
            tuple(writer.summands),
            tuple(objective.regularizers),
        )

    def penalized_sum(self, place: str) -> list[str]:
        """The statement that adds the penalties of weights to a sum over parts."""
        return [f"{place} = {place} + penalty * group"] if self.penalized else []


class _Writer:
    """The statements of the measures of an objective, as they are written."""

    def __init__(
        self, objective: Objective, forward: Forward, rows: str, *, learning: bool, split: bool
    ) -> None:
        self.objective, self.forward, self.learning = objective, forward, learning
        self._picked = rows
        self._rows = "group" if split else "rows"
        self.labels: list[str] = []
        self.lines: list[str] = []
        self.penalties: list[str] = []
        self.sums: list[str] = []
        self.summands: list[Summand] = []
        self._losses: list[str] = []
        places = objective.targets, objective.names("sample_weight"), objective.goals
        for target, weights, goal in zip(*places, strict=True):
            self._goal(goal, target, f"{weights}_batch" if goal.weighted else "")
        self._activities(split=split)
        self.lines.append(f"loss = {' + '.join(self._losses)}")
        self._weights_penalties()
        total = "(loss + penalty)" if objective.regularizers and not split else "loss"
        self.sums.insert(0, f"as.matrix({total} * {self._rows})")
        self.sums.append("as.matrix(rows)")

    def _goal(self, goal: Goal, target: str, weights: str) -> None:
        self._targets(goal, target)
        if weights:
            self._weights(goal, weights)
        mask = self._mask(goal, target)
        self._loss(goal, target, weights, mask)
        for number, metric in enumerate(goal.metrics, 1):
            name = f"{target}_sums_{number}"
            factors = weights if metric.weighted else "", mask if metric.masked else ""
            self._metric(goal, metric, name, target, _product(*factors))
            self.sums.append(name)

    def _targets(self, goal: Goal, target: str) -> None:
        vectors, classes = goal.vectors, goal.value.shape[-1]
        rows = self._picked.format(target)
        count = "rows" if vectors == 1 else f"rows * {vectors}"
        if goal.of_classes:
            flat = rows if vectors == 1 else f"matrix({rows}, rows={count}, cols=1)"
            rows = f"table(seq(1, {count}), {flat}, {count}, {classes})"
        elif vectors > 1:
            rows = f"matrix({rows}, rows={count}, cols={classes})"
        self.labels.append(f"{target}_batch = {rows}")

    def _weights(self, goal: Goal, weights: str) -> None:
        """A weight for each vector of the output."""
        rows = self._picked.format(weights.removesuffix("_batch"))
        if goal.vectors > 1:
            rows = f"matrix({rows}, rows=rows * {goal.vectors}, cols=1)"
        self.labels.append(f"{weights} = {rows}")

    def _mask(self, goal: Goal, target: str) -> str:
        """The variable with 1 for each unmasked vector of the output, if it has a mask."""
        if goal.value.mask is None:
            return ""
        mask = self.forward[goal.value.mask]
        self.lines.append(f"{target}_mask = matrix({mask}, rows=rows * {goal.vectors}, cols=1)")
        return f"{target}_mask"

    def _loss(self, goal: Goal, target: str, weights: str, mask: str) -> None:
        loss, weights = goal.loss, _product(weights, mask)
        variable = self.forward[loss.takes]
        folds = loss.takes.rows != goal.vectors
        scale, offset = loss.smoothing
        smoothed = f"{target}_batch * {syntax.literal(scale)} + {syntax.literal(offset)}"
        arguments = {
            "P": _rows(variable, goal) if folds else variable,
            "Y": smoothed if offset else f"{target}_batch",
            **{name: syntax.literal(value) for name, value in loss.constants.items()},
        }
        self.lines.append(syntax.call(loss.function, ["losses", "gradient"], arguments))
        losses = f"({self._rows} * {goal.vectors})" if goal.vectors > 1 else self._rows
        divisor = losses if self._rows == "group" and not loss.whole else "nrow(losses)"
        empty = ""
        if loss.reduction == "sum":
            divisor = ""
        elif loss.reduction == "mean_with_sample_weight" and weights:
            empty = f"sum({weights}) == 0"
            divisor = f"ifelse({empty}, 1 / 0, sum({weights}))"
        elif mask:
            divisor = f"max(sum({mask}), 1e-300)"
        divided = f" / {divisor}" if divisor else ""
        weighted = f" * {weights}" if weights else ""
        share = f" * {syntax.literal(loss.weight)}" if loss.weight != 1 else ""
        total = f"sum(losses{weighted}){divided}"
        if empty:  # in Keras a division by 0 is 0
            total = f"ifelse({empty}, 0, {total})"
        self.lines.append(f"{target}_loss = {total}")
        self._losses.append(f"{target}_loss{share}")
        if self.objective.several:
            self.sums.append(f"as.matrix({target}_loss * {self._rows})")
        if self.learning:
            gradient = self._gradient(variable)
            back = f"matrix(gradient{weighted}, rows=nrow({variable}), cols=ncol({variable}))"
            derivative = back if folds else f"gradient{weighted}"
            self.lines.append(f"{gradient} = {derivative}{divided}{share}")

    def _metric(self, goal: Goal, metric: Metric, name: str, target: str, weights: str) -> None:
        predictions = metric.takes or (metric.loss.takes if metric.loss else goal.value)
        variable = self.forward[predictions]
        predicted = _rows(variable, goal) if predictions.rows != goal.vectors else variable
        scale, offset = metric.loss.smoothing if metric.loss else (1.0, 0.0)
        smoothed = f"{target}_batch * {syntax.literal(scale)} + {syntax.literal(offset)}"
        arguments = {
            "P": predicted,
            "Y": smoothed if offset else f"{target}_batch",
            "weights": weights or f"matrix(1, rows=nrow({target}_batch), cols=1)",
            **{name: syntax.literal(value) for name, value in metric.constants.items()},
        }
        results = syntax.function(metric.function).results
        if results == ("counts",):
            self.lines.append(syntax.call(metric.function, [name], arguments))
            return
        self.lines.append(
            syntax.call(
                metric.function, ["values", *(f"unused_{n}" for n in results[1:])], arguments
            )
        )
        total, count = ("values", "nrow(values)")
        if weights:
            total, count = f"values * {weights}", f"sum({weights})"
        self.lines.append(f"{name} = cbind(as.matrix(sum({total})), as.matrix({count}))")

    def _gradient(self, variable: str) -> str:
        """The variable for one more gradient of a variable."""
        names = [summand.gradient for summand in self.summands if summand.variable == variable]
        name = gradient_name(variable, "loss", names)
        self.summands.append(Summand(variable, name))
        return name

    def _activities(self, *, split: bool) -> None:
        """Add the penalties of layers' outputs to the loss."""
        share = "rows / group" if split else "1"
        for call in self.forward.graph.calls:
            if self.forward.function(call) == PENALTY:
                penalty = self.forward.results(call)[1]
                self._losses.append(f"as.scalar({penalty}) * ({share})")
                self.summands.append(Summand(penalty, share))

    def _weights_penalties(self) -> None:
        """Write the penalties of weights, with their gradients."""
        regularizers = self.objective.regularizers
        for name, regularizer in regularizers.items():
            constants = {
                argument: syntax.literal(value) for argument, value in regularizer.constants.items()
            }
            results = [f"{name}_penalty", f"{name}_gradient"]
            self.penalties.append(
                syntax.call(regularizer.function, results, {"W": name, **constants})
            )
            if self.learning:
                self.penalties.append(f"d_{name} = d_{name} + {name}_gradient")
        if regularizers:
            self.penalties.append(
                f"penalty = {' + '.join(f'{weight}_penalty' for weight in regularizers)}"
            )


def _product(*factors: str) -> str:
    """The product of the non-empty factors."""
    present = [factor for factor in factors if factor]
    return f"({' * '.join(present)})" if len(present) > 1 else "".join(present)


def _rows(variable: str, goal: Goal) -> str:
    """A variable with a row for each vector along the last axis of an output."""
    return (
        f"matrix({variable}, rows=nrow({variable}) * {goal.vectors}, cols={goal.value.shape[-1]})"
    )
