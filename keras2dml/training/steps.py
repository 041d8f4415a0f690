"""Training steps: runs the training script for some iterations at a time, with weights and state in
the JVM.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras2dml.compilation import Compilation
from keras2dml.data.frames import Rows
from keras2dml.objectives.objective import Objective
from keras2dml.objectives.sums import Measure
from keras2dml.scripts import train
from keras2dml.scripts.algorithms import Algorithm
from keras2dml.scripts.score import ROWS_AT_ONCE
from keras2dml.systemds.context import SystemDS
from keras2dml.systemds.matrices import Matrix
from keras2dml.training.examples import Data
from keras2dml.training.passes import Passes
from keras2dml.training.plan import Plan
from keras2dml.training.rates import Policy

# How long SystemDS is left alone at most: long enough that starting a script costs little, short
# enough to see it work.
SECONDS_A_RUN = 3.0

# The least number of rows of a schedule: so many first runs of a training are compiled once.
SCHEDULED = 64


@dataclass(frozen=True, eq=False)
class Iteration:
    """A training step: its number in this run from 1, and the sums before the update."""

    number: int
    sums: np.ndarray
    objective: Objective

    @property
    def rows(self) -> int:
        """The number of rows in the batch."""
        return int(self.sums[-1])

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """The losses and metrics of the batch, by Keras' names."""
        return self.objective.measures(self.sums)

    @property
    def loss(self) -> float:
        """The loss of the batch."""
        return float(self.sums[0] / self.sums[-1])

    @property
    def accuracy(self) -> float | None:
        """The accuracy on the batch, of the first output that has it."""
        values = (value for name, value in self.measures.items() if "acc" in name)
        return next((value for value in values if isinstance(value, float)), None)


class Training:
    """The state of a training run: every weight and every matrix of the optimizer, as it is in the
    JVM. `rate` takes the place of the optimizer's learning rate.
    """

    def __init__(
        self,
        systemds: SystemDS,
        compilation: Compilation,
        matrices: Mapping[str, np.ndarray],
        data: Data,
        steps: int,
        seed: int,
        algorithm: Algorithm,
        policy: Policy,
        *,
        shuffled: bool = False,
        rate: float | None = None,
        passes: Passes | None = None,
    ) -> None:
        """Begin with these weights and this state of the optimizer, which has made `steps`. Where
        there are `passes`, the data are their first segment.
        """
        self._systemds = systemds
        self._compilation = compilation
        self._seed, self._shuffled, self._passes = seed, shuffled, passes
        self._segment = passes.segment(0) if passes else None
        self._workers, self._policy = algorithm.parallel, policy
        self._order = -1
        self.steps = steps
        self.rate = rate
        self.objective = compilation.objective(data.targets)
        self.script = compilation.training_script(
            self.objective, shuffled=shuffled, algorithm=algorithm
        )
        self._names = tuple(matrices)
        constants = {name: constant.matrix for name, constant in compilation.graph.constants()}
        arrays = {**data.matrices(self.objective), **matrices, **constants}
        self._variables: dict[str, Matrix] = {
            name: systemds.place(matrix) for name, matrix in arrays.items()
        }

    def run(
        self, plan: Plan, done: int = 0, most: Callable[[], int | None] = lambda: None
    ) -> Iterator[list[Iteration]]:
        """Train as planned; yields the iterations of each piece as soon as it is done, `most` of
        them at a time.
        """
        piece = 1
        while done < plan.iterations:
            began = time.monotonic()
            size, before, left = self._load_batches(plan, done)
            count = min(plan.next(done, most() or piece), left)
            yield self._train(plan, done, count, size, before)
            done += count
            pace = SECONDS_A_RUN / max(time.monotonic() - began, 1e-3)
            piece = max(1, round(count * min(pace, 4.0)))

    def measure(self, data: Data, batch_size: int) -> dict[str, Measure]:
        """Losses and metrics of the current model on rows that are not used for training."""
        return measure(self._systemds, self._compilation, self._variables, data, batch_size)

    def finish(self) -> None:
        """Put the averages of the weights in their place, where the optimizer keeps some."""
        if self._compilation.optimizer.average is not None and self.steps:
            self.change(self._compilation.averages(self.matrices()))

    def close(self) -> None:
        """Free all matrices in the JVM."""
        self._systemds.free(*self._variables.values())

    @property
    def fingerprint(self) -> str:
        """A digest that identifies this training's script."""
        return hashlib.sha256(self.script.text.encode()).hexdigest()

    def matrices(self) -> dict[str, np.ndarray]:
        """The current weights and optimizer state, by name."""
        return {name: self._systemds.numpy(self._variables[name]) for name in self._names}

    def change(self, matrices: Mapping[str, np.ndarray]) -> None:
        """Replace matrices by others with the same names."""
        before = [self._variables[name] for name in matrices]
        for name, matrix in matrices.items():
            self._variables[name] = self._systemds.matrix(matrix)
        self._free_unused(before)

    def _free_unused(self, before: Sequence[Matrix]) -> None:
        """Free those of these that are no variable; a weight and its average may be one matrix."""
        used = {matrix.data.hashCode() for matrix in self._variables.values()} if before else set()
        unused = {matrix.data.hashCode(): matrix for matrix in before}
        self._systemds.free(*(matrix for code, matrix in unused.items() if code not in used))

    def _put(self, name: str, matrix: np.ndarray | Rows) -> None:
        if name in self._variables:
            self._systemds.free(self._variables[name])
        self._variables[name] = self._systemds.place(matrix)

    def _load_batches(self, plan: Plan, done: int) -> tuple[int, int, int]:
        """The size of the next batches, and how many there are before and after them in what the
        JVM holds, or will come again; of data that are drawn it holds the next ones then.
        """
        if self._passes is None:
            return plan.batch_size, done, plan.iterations
        segment = self._passes.segment(done)
        if segment is not self._segment:
            for name, matrix in segment.data.matrices(self.objective).items():
                self._put(name, matrix)
            self._segment = segment
        before = done % plan.batches - segment.begin
        return segment.size, before, segment.count - before

    def _train(
        self, plan: Plan, done: int, count: int, size: int, batch_before: int
    ) -> list[Iteration]:
        if self._shuffled:
            before = (self.steps - done) // plan.batches
            self._shuffle(plan.rows, before + done // plan.batches)
        optimizer = self._compilation.optimizer
        schedule = optimizer.scheduled(self.steps, count, self.rate)
        iterations = range(done, done + count)
        epochs = plan.first_epoch + np.array([plan.place(number)[0] for number in iterations])
        schedule[:, 0] *= self._policy.shares(epochs, plan.epochs)
        # Of few sizes, since for each one the script is compiled.
        unused = max(SCHEDULED, 1 << (count - 1).bit_length()) - count
        self._put("schedule", np.pad(schedule, ((0, unused), (0, 0)), mode="edge"))
        scalars = {
            "batch_size": size,
            "workers": self._workers,
            "part_size": plan.part_size,
            "iterations": count,
            "iteration_before": self.steps,
            "batch_before": batch_before,
            "seed": self._seed,
        }
        results = self._systemds.run(self.script, {**self._variables, **scalars})
        recorded = results.pop("history")
        history = self._systemds.numpy(recorded)
        # What no step has changed comes back as it went in.
        pairs = ((self._variables[name], new) for name, new in results.items())
        replaced = [old for old, new in pairs if not old.same(new)]
        self._variables.update(results)
        self._systemds.free(recorded)
        if optimizer.overwritten:
            self._free_unused(replaced)
        else:
            self._systemds.free(*replaced)
        self.steps += count
        return [
            Iteration(number, sums, self.objective)
            for number, sums in enumerate(history, start=done + 1)
        ]

    def _shuffle(self, rows: int, number: int) -> None:
        """The order of a pass over the rows, which depends on the seed and on how many passes the
        optimizer has made before, in this call of `fit` and in others.
        """
        if number != self._order:
            order = np.random.default_rng([self._seed, number]).permutation(rows)
            self._put("order", order.reshape(-1, 1) + 1.0)
            self._order = number


def averages(iterations: Sequence[Iteration]) -> dict[str, Measure]:
    """The averages over these iterations, as Keras reports them for an epoch."""
    return iterations[0].objective.averages(np.array([step.sums for step in iterations]))


def measure(
    systemds: SystemDS,
    compilation: Compilation,
    weights: Mapping[str, Matrix],
    data: Data,
    batch_size: int,
) -> dict[str, Measure]:
    """Losses and metrics of a model with these weights and constants, by Keras' names."""
    objective = compilation.objective(data.targets)
    size = batch_size if objective.by_batch or objective.several else ROWS_AT_ONCE
    with systemds.holding(data.matrices(objective)) as rows:
        variables = {**weights, **rows, "batch_size": size}
        computed = systemds.compute(train.evaluation(objective), variables)
    return objective.averages(computed["measured"])
