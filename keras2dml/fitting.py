"""A training run: the training script run some iterations at a time, with weights and state kept in
the JVM.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras2dml.compilation import Compilation
from keras2dml.data import Targets
from keras2dml.systemds import SystemDS

# How long SystemDS is left alone at most: long enough that starting a script costs little, short
# enough to see it work.
SECONDS_A_RUN = 3.0


@dataclass(frozen=True)
class Iteration:
    """One training step: its number from 1, the batch's rows, and what was measured before the
    update.
    """

    number: int
    rows: int
    measures: Mapping[str, float]

    @property
    def loss(self) -> float:
        """The loss of the batch."""
        return self.measures["loss"]

    @property
    def accuracy(self) -> float:
        """The accuracy on the batch, of the first output if there are several."""
        return next(value for name, value in self.measures.items() if name.endswith("accuracy"))


@dataclass(frozen=True)
class Plan:
    """How long to train: `iterations` batches of `batch_size` rows (of `rows` in all), measured
    every `interval`.
    """

    rows: int
    batch_size: int
    iterations: int
    interval: int = 0

    @property
    def batches(self) -> int:
        """Iterations in an epoch."""
        return math.ceil(self.rows / self.batch_size)

    def next(self, done: int, wanted: int) -> int:
        """How many iterations to run next: at most `wanted`, and not past the next measurement."""
        left = self.iterations - done
        return (
            min(wanted, left, self.interval - done % self.interval)
            if self.interval
            else min(wanted, left)
        )


@dataclass(frozen=True, eq=False)
class Held:
    """Rows that are kept from training, to measure it."""

    features: tuple[np.ndarray, ...]
    targets: tuple[Targets, ...]

    @staticmethod
    def line(number: int, measures: Mapping[str, float]) -> str:
        """What is said of a measurement."""
        step = Iteration(number, 0, measures)
        return (
            f"Iter:{number}, validation loss:{step.loss:.6f},"
            f" validation accuracy:{100 * step.accuracy:.2f}"
        )


class Training:
    """The state of a training run: every weight and every matrix of the optimizer, as it is in the
    JVM.
    """

    def __init__(
        self,
        systemds: SystemDS,
        compilation: Compilation,
        weights: Mapping[str, np.ndarray],
        targets: tuple[Targets, ...],
        features: tuple[np.ndarray, ...],
        seed: int,
    ) -> None:
        """Begin with these weights, and with the optimizer's state at zero."""
        self._systemds = systemds
        self._compilation = compilation
        self._seed = seed
        of_classes = tuple(target.of_classes for target in targets)
        self._objective = compilation.objective(of_classes)
        self._script = compilation.training_script(of_classes)
        zeros = {name: np.zeros(shape) for name, shape in compilation.state_shapes().items()}
        constants = {name: one.matrix for name, one in compilation.graph.constants()}
        matrices = {**self._rows(features, targets), **weights, **zeros, **constants}
        self._variables: dict[str, Any] = {
            name: systemds.matrix(matrix) for name, matrix in matrices.items()
        }

    def run(self, plan: Plan) -> Iterator[list[Iteration]]:
        """Train as planned; yields the iterations of each piece as soon as it is done."""
        done, piece = 0, 1
        while done < plan.iterations:
            count = plan.next(done, piece)
            began = time.monotonic()
            yield self._iterations(plan, done, count)
            done += count
            pace = SECONDS_A_RUN / max(time.monotonic() - began, 1e-3)
            piece = max(1, round(count * min(pace, 4.0)))

    def measure(self, held: Held) -> dict[str, float]:
        """Losses and accuracies of the model as it is now on rows that it is not trained on."""
        script = self._compilation.evaluation_script(self._objective.of_classes)
        with self._systemds.holding(self._rows(held.features, held.targets)) as rows:
            computed = self._systemds.computed(script, {**self._variables, **rows})
        measured = zip(self._objective.columns, computed["measured"][0].tolist(), strict=True)
        return {name: value for name, value in measured if name != "rows"}

    def _rows(
        self, features: tuple[np.ndarray, ...], targets: tuple[Targets, ...]
    ) -> dict[str, np.ndarray]:
        """Inputs and targets by the names that the scripts give them."""
        graph, named = self._compilation.graph, self._objective.targets
        inputs = (graph.input_name(value) for value in graph.inputs)
        return {
            **dict(zip(inputs, features, strict=True)),
            **{name: one.matrix for name, one in zip(named, targets, strict=True)},
        }

    def close(self) -> None:
        """Give all matrices in the JVM up."""
        self._systemds.free(*self._variables.values())

    def weights(self) -> dict[str, np.ndarray]:
        """The weights as they are now, by name."""
        names = (one.name for one in self._compilation.graph.parameters)
        return {name: self._systemds.numpy(self._variables[name]) for name in names}

    def _iterations(self, plan: Plan, done: int, count: int) -> list[Iteration]:
        scalars = {
            "batch_size": plan.batch_size,
            "iterations": count,
            "iteration_before": done,
            "learning_rate": self._compilation.optimizer.learning_rate,
            "seed": self._seed,
        }
        results = self._systemds.run(self._script, {**self._variables, **scalars})
        recorded = results.pop("history")
        history = self._systemds.numpy(recorded)
        self._systemds.free(recorded, *(self._variables[name] for name in results))
        self._variables.update(results)
        columns = self._objective.columns
        return [
            Iteration(number, int(rows), dict(zip(columns, measures, strict=False)))
            for number, (*measures, rows) in enumerate(history.tolist(), start=done + 1)
        ]


def averages(iterations: Sequence[Iteration], batches: int) -> dict[str, list[float]]:
    """What was measured in each epoch of `batches` iterations, as means over its rows."""
    epochs = [iterations[begin : begin + batches] for begin in range(0, len(iterations), batches)]
    return {
        name: [
            float(
                np.average(
                    [step.measures[name] for step in epoch], weights=[step.rows for step in epoch]
                )
            )
            for epoch in epochs
        ]
        for name in iterations[0].measures
    }
