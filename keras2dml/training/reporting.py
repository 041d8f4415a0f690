"""What a user sees while a model trains, and the model's summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from keras2dml.data.labels import Targets
from keras2dml.dml import syntax
from keras2dml.errors import InvalidData
from keras2dml.graph import Graph, source_of
from keras2dml.notebook import Bar
from keras2dml.objectives.objective import Goal
from keras2dml.objectives.sums import Measure
from keras2dml.printable import printable
from keras2dml.training.steps import Iteration


class Display:
    """A progress bar over the iterations, and a line of loss and metrics every `every` of them, 0
    for none.
    """

    def __init__(self, iterations: int, every: int, console: Console | None = None) -> None:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.console = console or Console()
        self._bar: Bar | _Bar = (
            Bar(iterations)
            if self.console.is_jupyter
            else _Bar(Progress(*columns, console=self.console, transient=True), iterations)
        )
        self._every = every

    def __enter__(self) -> Display:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away; the lines stay."""
        self._bar.stop()

    def show(self, iterations: Iterable[Iteration]) -> None:
        """Move the bar on, and say what is due."""
        for step in iterations:
            self._bar.advance()
            if self._every and step.number % self._every == 0:
                self._say(f"Iter:{step.number}, {_measures('training', step.measures)}")

    def show_test(self, number: int, measures: Mapping[str, Measure]) -> None:
        """Say what was measured on rows that are kept from training."""
        self._say(f"Iter:{number}, {_measures('validation', measures)}")

    def show_epoch(self, number: int, epochs: int, logs: Mapping[str, Measure]) -> None:
        """Say what was measured in an epoch, as Keras does."""
        numbers = {name: _number(value) for name, value in logs.items()}
        measures = " - ".join(
            f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}"
            for name, value in numbers.items()
        )
        self._say(f"Epoch {number}/{epochs} - {measures}")

    def _say(self, line: str) -> None:
        line = printable(line)
        if self.console.is_jupyter:
            print(line)  # noqa: T201  (each one would be a block of HTML of its own)
        else:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


class _Bar:
    """Rich's bar in a terminal."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=total)
        self.start, self.stop = progress.start, progress.stop

    def advance(self) -> None:
        """One more is done."""
        self._progress.advance(self._task)


def _measures(of: str, measures: Mapping[str, Measure]) -> str:
    """SystemML's line of loss and metrics."""
    return ", ".join(
        f"{of} {name}:{100 * value:.2f}" if "acc" in name else f"{of} {name}:{value:.6f}"
        for name, value in ((name, _number(value)) for name, value in measures.items())
    )


def _number(value: Measure) -> float:
    """A measure as a line shows it: of an array the mean, as Keras does."""
    return float(value.mean()) if isinstance(value, np.ndarray) else value


def summary(graph: Graph) -> Table:
    """A table of the calls: layer, DML function, output, weights, and what comes before."""
    table = Table(
        "Name",
        "Type",
        "Output",
        "Weight",
        "Bias",
        "Top",
        "Bottom",
        title=Text(f"Model {graph.name!r} in DML"),
    )
    for value in graph.inputs:
        name = graph.input_name(value)
        table.add_row(*_texts(name, "Data", _shape(value.stored), "", "", name, ""))
    for call in graph.calls:
        sizes = {weight.argument: syntax.shape(weight.matrix) for weight in call.weights}
        below = ", ".join(graph.names[source_of(value)] for value in call.inputs)
        row = (sizes.get("W", ""), sizes.get("b", ""), graph.names[call], below)
        first = (call.layer, call.function, _shape(call.results["out"]))
        table.add_row(*_texts(*first, *row))
    return table


def _texts(*names: str) -> list[Text]:
    """Names as they are, in which nothing is markup, and what is not printable is escaped."""
    return [Text(printable(name)) for name in names]


def _shape(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, ("N", *sizes)))


def score(
    goals: Sequence[Goal], outputs: Sequence[np.ndarray], targets: Sequence[Targets]
) -> float:
    """The share of right classes, or R^2 of numbers, on average over all outputs."""
    return float(np.mean([_score(*parts) for parts in zip(goals, outputs, targets, strict=True)]))


def _score(goal: Goal, output: np.ndarray, target: Targets) -> float:
    shape, threshold = output.shape, goal.loss.threshold
    if goal.loss.kind == "labels":
        message = (
            f"The loss {goal.loss.name!r} takes labels that say which rows belong together, of"
            " which there is no share of right ones: use evaluate()."
        )
        raise InvalidData(message)
    weights = target.weights
    if target.of_classes:
        right = output.argmax(axis=-1) == target.matrix.reshape(shape[:-1]) - 1
        return _mean(right, weights)
    truth = target.matrix.reshape(shape)
    if goal.loss.kind == "binary":
        # A share between is neither class, and so nothing that is said is it.
        right = np.where(output > threshold, truth == 1, truth == min(truth.min(), 0))
        return _mean(right, weights)
    if goal.loss.kind != "numbers":
        return _mean(output.argmax(axis=-1) == truth.argmax(axis=-1), weights)
    return agreement(truth, output, weights, classified=False)


def agreement(
    labels: np.ndarray,
    predicted: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    classified: bool,
) -> float:
    """The share of equal classes, or R^2 of numbers, on average over those of an example; rows
    count by their weights. InvalidData where these sum to 0.
    """
    if classified:
        return _mean(labels == predicted, weights)
    counts, labels, predicted = (
        np.asarray(array, float).reshape(len(labels), -1)
        for array in (_counted(labels, weights), labels, predicted)
    )
    regarded = counts.sum(axis=0) != 0
    counts, labels, predicted = (array[:, regarded] for array in (counts, labels, predicted))
    means = (labels * counts).sum(axis=0) / counts.sum(axis=0)
    spreads = (counts * (labels - means) ** 2).sum(axis=0)
    errors = (counts * (labels - predicted) ** 2).sum(axis=0)
    # Of equal numbers scikit-learn makes 1 where all are right, and 0 else.
    ratios = np.where(spreads, errors / np.where(spreads, spreads, 1.0), errors != 0)
    return float(np.mean(1 - ratios))


def _mean(right: np.ndarray, weights: np.ndarray | None) -> float:
    return float(np.average(right, weights=_counted(right, weights)))


def _counted(array: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """How much each element of an array counts, by the weights of its rows, or of vectors of it."""
    if weights is None:
        return np.ones(array.shape)
    if not weights.sum():
        message = "sample_weight sums to 0: give at least a row a weight above 0 to score."
        raise InvalidData(message)
    shape = array.shape if weights.size == array.size else (*array.shape[:-1], 1)
    return np.broadcast_to(np.asarray(weights, float).reshape(shape), array.shape)
