"""The objective of training: the loss and the metrics of each output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras2dml.graph import Graph, Value
from keras2dml.objectives.losses import Loss
from keras2dml.objectives.regularizers import Regularizer
from keras2dml.objectives.sums import Measure, Metric


@dataclass(frozen=True, eq=False)
class Goal:
    """An output of a model under Keras' name, with its loss and metrics.

    Its targets are class numbers from 1, (N, T), or numbers (N, T * K), where T is the number of
    vectors along the last axis. Each vector has a weight if the goal is `weighted`.
    """

    name: str
    value: Value
    loss: Loss
    metrics: tuple[Metric, ...]
    of_classes: bool = True
    weighted: bool = False

    @property
    def classifies(self) -> bool:
        """Whether each vector predicts a class."""
        kind = self.loss.kind
        numbers = kind in ("numbers", "labels")
        return not (numbers or (kind == "binary" and self.value.shape[-1] > 1))

    @property
    def literal(self) -> bool:
        """Whether a user's function gets the targets in their original shape."""
        return self.loss.literal or any(metric.literal for metric in self.metrics)

    @property
    def vectors(self) -> int:
        """The number of vectors along the last axis of an example, each of which has a loss."""
        return self.value.size // self.value.shape[-1]

    @property
    def masked(self) -> bool:
        """Whether the output has a mask, so that the loss only counts some vectors."""
        return self.value.mask is not None

    @property
    def adds_up(self) -> bool:
        """Whether the loss of a batch is the sum of its parts' shares."""
        return self.loss.adds_up and not (self.masked and self.loss.reduction != "sum")

    @property
    def width(self) -> int:
        """The number of columns of the targets."""
        if self.loss.kind == "labels":
            return 1
        return self.vectors if self.of_classes else self.value.size


@dataclass(frozen=True, eq=False)
class Objective:
    """The goals of a model, and the regularizers of its parameters by name."""

    graph: Graph
    goals: tuple[Goal, ...]
    regularizers: Mapping[str, Regularizer]

    @property
    def several(self) -> bool:
        """Whether there is more than one output."""
        return len(self.goals) > 1

    def names(self, prefix: str) -> tuple[str, ...]:
        """The names in scripts of a matrix for each output: `Y`, or `Y_1` and so on."""
        return tuple(
            f"{prefix}_{n}" if self.several else prefix for n, _ in enumerate(self.goals, 1)
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets in scripts, one for each output."""
        return self.names("Y")

    @property
    def weights(self) -> tuple[str, ...]:
        """The names in scripts of the sample weights, for outputs that have them."""
        named = zip(self.names("sample_weight"), self.goals, strict=True)
        return tuple(name for name, goal in named if goal.weighted)

    @property
    def by_batch(self) -> bool:
        """Whether the loss or a metric over all rows differs from the mean over its parts."""
        return any(
            goal.loss.by_batch or goal.masked or any(metric.by_batch for metric in goal.metrics)
            for goal in self.goals
        )

    def columns(self) -> Iterator[tuple[str, int, Metric | None]]:
        """The sums of a batch: Keras' name, the number of columns, and the metric.

        A loss has one column, the loss times the number of rows, and no metric. The last column is
        the number of rows, also without a metric.
        """
        names = self._metric_names()
        yield "loss", 1, None
        for goal in self.goals:
            if self.several:
                yield f"{goal.name}_loss", 1, None
            for metric in goal.metrics:
                yield names[goal, metric], metric.sums, metric
        yield "rows", 1, None

    def _metric_names(self) -> dict[tuple[Goal, Metric], str]:
        """Keras' names: of two equal names the second is the weighted metric; others get
        numbers.
        """
        names: dict[tuple[Goal, Metric], str] = {}
        counts: Counter[str] = Counter()
        pairs = [(goal, metric) for goal in self.goals for metric in goal.metrics]
        for goal, metric in sorted(pairs, key=lambda pair: pair[1].weighted):
            prefix = f"{goal.name}_" if self.several else ""
            name = prefix + metric.name
            if counts[name] and metric.weighted:
                name = f"{prefix}weighted_{metric.name}"
            names[goal, metric] = f"{name}_{counts[name]}" if counts[name] else name
            counts[name] += 1
        return names

    def measures(self, sums: np.ndarray) -> dict[str, Measure]:
        """What Keras reports for the sums of a batch, by name."""
        return self.averages(sums.reshape(1, -1))

    def averages(self, batches: np.ndarray) -> dict[str, Measure]:
        """What Keras reports for several batches with these sums, (batches, columns): the losses of
        several outputs are averaged over batches, as in its compiled steps, all else over examples.

        Of equal names the last one counts; the order is loss, metrics, weighted metrics, losses of
        outputs.
        """
        sums, begin = batches.sum(axis=0), 0
        values: list[tuple[int, str, Measure]] = []
        for name, count, metric in [*self.columns()][:-1]:
            if metric:
                value = metric.value(sums[begin : begin + count])
                values.append((1 + metric.weighted, name, value))
            elif begin:
                mean = float(np.mean(batches[:, begin] / batches[:, -1]))
                values.append((3, name, mean))
            else:
                values.append((0, name, float(sums[0] / sums[-1])))
            begin += count
        last = {name: value for _, name, value in sorted(values, key=lambda entry: entry[0])}
        return {name: last[name] for _, name, _ in values}

    def listed(self, measures: Mapping[str, Measure], losses: Sequence[str]) -> list[Measure]:
        """Keras' results in the order of its list: the loss, metrics by name without the output's
        prefix, the losses of outputs in their order, and the rest by name.
        """
        metrics = [metric for goal in self.goals for metric in goal.metrics]
        names = [
            "loss",
            *(metric.name for metric in sorted(metrics, key=lambda metric: metric.weighted)),
            *(f"{name}_loss" for name in losses if self.several),
        ]
        others = sorted(measures.keys() - set(names))
        return [measures[name] for name in (*names, *others) if name in measures]

    def described(self) -> list[str]:
        """A description of the targets, for a comment."""
        lines = []
        for target, goal in zip(self.targets, self.goals, strict=True):
            kind = (
                f"class numbers from 1 (N x {goal.vectors})"
                if goal.of_classes
                else f"numbers (N x {goal.width})"
            )
            lines.append(f"{target}: {kind}; the loss is {goal.loss.name}")
        for name, goal in zip(self.names("sample_weight"), self.goals, strict=True):
            if goal.weighted:
                lines.append(f"{name} (N x {goal.vectors}): how much each counts")
        return lines
