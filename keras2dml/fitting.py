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
    """One training step: its number from 1, the loss and accuracy of its batch before the update,
    the batch's rows.
    """

    number: int
    loss: float
    accuracy: float
    rows: int


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

    features: np.ndarray
    targets: Targets

    @staticmethod
    def line(number: int, loss: float, accuracy: float) -> str:
        """What is said of a measurement."""
        return (
            f"Iter:{number}, validation loss:{loss:.6f}, validation accuracy:{100 * accuracy:.2f}"
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
        targets: Targets,
        features: np.ndarray,
        seed: int,
    ) -> None:
        """Begin with these weights, and with the optimizer's state at zero."""
        self._systemds = systemds
        self._compilation = compilation
        self._seed = seed
        self._script = compilation.training_script(of_classes=targets.of_classes)
        zeros = {name: np.zeros(shape) for name, shape in compilation.state_shapes().items()}
        matrices = {"X": features, "Y": targets.matrix, **weights, **zeros}
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

    def measure(self, held: Held) -> tuple[float, float]:
        """Loss and accuracy of the model as it is now on rows that it is not trained on."""
        script = self._compilation.evaluation_script(of_classes=held.targets.of_classes)
        with self._systemds.holding({"X": held.features, "Y": held.targets.matrix}) as rows:
            computed = self._systemds.computed(script, {**self._variables, **rows})
        loss, accuracy = computed["measured"][0]
        return float(loss), float(accuracy)

    def close(self) -> None:
        """Give all matrices in the JVM up."""
        self._systemds.free(*self._variables.values())

    def weights(self) -> dict[str, np.ndarray]:
        """The weights as they are now, by name."""
        names = (weight.name for weight in self._compilation.graph.weights())
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
        return [
            Iteration(number, float(loss), float(accuracy), int(rows))
            for number, (loss, accuracy, rows) in enumerate(history, start=done + 1)
        ]


def averages(iterations: Sequence[Iteration], batches: int) -> dict[str, list[float]]:
    """Loss and accuracy of each epoch of `batches` iterations, as means over its rows."""
    epochs = [iterations[begin : begin + batches] for begin in range(0, len(iterations), batches)]
    return {
        name: [
            float(
                np.average(
                    [getattr(step, name) for step in epoch], weights=[step.rows for step in epoch]
                )
            )
            for epoch in epochs
        ]
        for name in ("loss", "accuracy")
    }
