"""A training run, epoch by epoch: measurements, reports and checkpoints."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from keras2dml.objectives.sums import Measure
from keras2dml.training.callbacks import Callbacks
from keras2dml.training.checkpoint import Checkpoint, Progress
from keras2dml.training.examples import Data
from keras2dml.training.plan import Plan
from keras2dml.training.reporting import Display
from keras2dml.training.steps import Iteration, Training, averages

Report = Callable[[Sequence[Iteration]], None]
SECONDS = 60.0
"""Minimum seconds between checkpoints, other than those at the ends of epochs."""
EVALUATED = 32
"""The rows of a batch that is measured where neither a size nor steps are given, as in Keras."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Examples that Keras measures after epochs, in batches, and after which epochs: each of so
    many, or those of these numbers, counted from 1.
    """

    data: Data
    batch_size: int
    frequency: int | Collection[int] = 1
    again: Callable[[], Data] | None = None
    """What draws the examples for each measurement, where they come from a dataset."""

    @classmethod
    def of(
        cls, data: Data, batch_size: int | None, steps: int | None, frequency: int | Collection[int]
    ) -> Self:
        """Of the examples the first `steps` batches, or all; those have Keras' size where it is
        None.
        """
        if batch_size is None:
            batch_size = math.ceil(data.rows / steps) if steps else EVALUATED
        if steps is not None and steps * batch_size < data.rows:
            data = data.part(slice(steps * batch_size))
        return cls(data, batch_size, frequency)

    @property
    def batches(self) -> int:
        """The number of batches in which they are measured."""
        return math.ceil(self.data.rows / self.batch_size)

    def is_due(self, epoch: int) -> bool:
        """Whether they are measured after an epoch, counted from 0."""
        if isinstance(self.frequency, Collection):
            return epoch + 1 in self.frequency
        return (epoch + 1) % self.frequency == 0


@dataclass(eq=False)
class Run:
    """A plan carried out: `iterations` and `history` grow, and the training changes.

    `tested` are SystemML's rows, measured every `plan.interval` iterations; `validation` those that
    Keras measures after each epoch.
    """

    training: Training
    plan: Plan
    tested: Data | None = None
    validation: Validation | None = None
    callbacks: Callbacks | None = None
    checkpoint: Checkpoint | None = None
    display: Display | None = None
    report: Report | None = None
    iterations: list[Iteration] = field(default_factory=list)
    history: dict[str, list[Measure]] = field(default_factory=lambda: defaultdict(list))

    _saved_at: float = field(default_factory=time.monotonic)

    def go(self) -> None:
        """Train to the end of the plan, or until a callback stops it."""
        self._resume()
        if self.callbacks:
            self._begin(self.callbacks)
        done = len(self.iterations)
        if done < self.plan.iterations:
            self._begin_epoch()
        for steps in self.training.run(self.plan, done, self._most):
            self.iterations += steps
            if self.display:
                self.display.show(steps)
            if self.report:
                self.report(steps)
            self._measure_tests()
            self._end_batches(len(steps))
            stopped = self.callbacks is not None and self.callbacks.stopped
            if self.plan.by_epoch and (self._at_end_of_epoch or stopped):
                self._end_epoch()
            if self.callbacks and self.callbacks.stopped:
                break
            self._save_if_due()
            if len(self.iterations) < self.plan.iterations:
                self._begin_epoch() if self._at_end_of_epoch else self._begin_batches()
        self.sum_up(len(self.iterations))
        self.training.finish()
        if self.callbacks:
            self.callbacks.end()
        if self.checkpoint:
            self.checkpoint.remove()

    def sum_up(self, done: int) -> None:
        """Enter the epochs of so many iterations, unless each was entered at its end."""
        if not self.plan.by_epoch:
            for begin in range(0, done, self.plan.batches):
                self._record(averages(self.iterations[begin : begin + self.plan.batches]))

    def validated(self, epochs: Sequence[int]) -> list[float]:
        """After how many epochs what is kept from training was measured, of these, counted from 0;
        SystemML's rows are between epochs, too.
        """
        if self.tested is not None:
            interval, batches = self.plan.interval, self.plan.batches
            done = range(interval, len(self.iterations) + 1, interval)
            return [self.plan.first_epoch + count / batches for count in done]
        validation = self.validation
        return [epoch + 1 for epoch in epochs if validation and validation.is_due(epoch)]

    @property
    def _epoch(self) -> int:
        """The number of the epoch that the last iteration is in, from 0."""
        return self.plan.first_epoch + self.plan.place(len(self.iterations) - 1)[0]

    @property
    def _at_end_of_epoch(self) -> bool:
        return self.plan.ends_epoch(len(self.iterations))

    def _resume(self) -> None:
        """Resume from the checkpoint, if there is one."""
        progress = self.checkpoint.load() if self.checkpoint else None
        if progress is None:
            return
        self.training.change(progress.matrices)
        self.training.steps, self.training.rate = progress.steps, progress.rate
        objective = self.training.objective
        self.iterations += [
            Iteration(number, sums, objective) for number, sums in enumerate(progress.sums, 1)
        ]
        self.history.update({name: list(values) for name, values in progress.history.items()})
        if self.callbacks:
            self.callbacks.enter()

    def _begin(self, callbacks: Callbacks) -> None:
        """Training begins, or goes on in the epoch that a callback knows."""
        epoch = callbacks.begin()
        if epoch is not None and not self.iterations:
            self.plan = self.plan.from_epoch(epoch)

    def _save_if_due(self) -> None:
        """Write a checkpoint at the ends of epochs, and every minute."""
        due = self._at_end_of_epoch or time.monotonic() - self._saved_at > SECONDS
        if self.checkpoint and due and len(self.iterations) < self.plan.iterations:
            self._saved_at = time.monotonic()
            sums = np.array([step.sums for step in self.iterations])
            training, done = self.training, len(self.iterations)
            matrices = training.matrices()
            self.checkpoint.save(
                Progress(done, training.steps, sums, self.history, matrices, training.rate)
            )

    def _measure_tests(self) -> None:
        done = len(self.iterations)
        if self.tested is None or done % self.plan.interval:
            return
        measures = self.training.measure(self.tested, self.plan.batch_size)
        self._record({f"val_{name}": value for name, value in measures.items()})
        if self.display:
            self.display.show_test(done, measures)

    def _begin_epoch(self) -> None:
        if self.callbacks:
            epoch = self.plan.first_epoch + self.plan.place(len(self.iterations))[0]
            self.callbacks.begin_epoch(epoch)
            self._begin_batches()

    def _begin_batches(self) -> None:
        if self.callbacks:
            self.callbacks.begin_batches(self.plan.place(len(self.iterations))[1])

    def _end_batches(self, count: int) -> None:
        if self.callbacks:
            epoch = self._of_epoch
            self.callbacks.end_batches(len(epoch) - count, epoch)

    def _most(self) -> int | None:
        """Maximum iterations in a single script run; None for no limit."""
        return self.callbacks.most if self.callbacks else None

    @property
    def _of_epoch(self) -> list[Iteration]:
        """The iterations of the epoch so far."""
        return self.iterations[-1 - self.plan.place(len(self.iterations) - 1)[1] :]

    def _end_epoch(self) -> None:
        logs = averages(self._of_epoch)
        if self.validation and self.validation.is_due(self._epoch):
            validation_logs = self._measure(self.validation)
            logs |= {f"val_{name}": value for name, value in validation_logs.items()}
        if self.callbacks:
            logs = self.callbacks.end_epoch(self._epoch, logs)
        self._record(logs)
        if self.display:
            self.display.show_epoch(self._epoch + 1, self.plan.epochs, logs)

    def _measure(self, validation: Validation) -> dict[str, Measure]:
        def measure() -> dict[str, Measure]:
            examples = validation.again() if validation.again else validation.data
            return self.training.measure(examples, validation.batch_size)

        if self.callbacks is None:
            return measure()
        return self.callbacks.validate(validation.batches, measure)

    def _record(self, logs: dict[str, Measure]) -> None:
        for name, value in logs.items():
            self.history[name].append(value)
