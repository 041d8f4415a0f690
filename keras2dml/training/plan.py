"""The length of a training run, and where it pauses for measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from keras2dml.errors import InvalidData, counted, positive
from keras2dml.scripts.algorithms import Algorithm


@dataclass(frozen=True)
class Plan:
    """How long to train: `iterations` batches of `batch_size` rows, of `rows` in all, each in parts
    of `part_size`.

    A pass over the rows has so many `batches`, and an epoch the next `steps` of them that are left
    of its pass. Runs are of `whole_epochs`, or of some iterations, and then stop to be looked at
    every `interval` of them, and at the ends of epochs if they go `by_epoch`; both count from the
    beginning.
    """

    rows: int
    batch_size: int
    iterations: int
    batches: int
    steps: int
    part_size: int = 0
    interval: int = 0
    by_epoch: bool = False
    first_epoch: int = 0
    whole_epochs: bool = False

    @classmethod
    def of(
        cls,
        algorithm: Algorithm,
        rows: int,
        batch_size: int,
        max_iter: int,
        epochs: int | None,
        first_epoch: int,
        interval: int,
        *,
        by_epoch: bool,
        steps: int | None = None,
    ) -> Self:
        """The plan for `epochs` of so many `steps`, counted from the first of all runs, or for
        `max_iter` batches of `batch_size`. Raises InvalidData for steps without epochs, and for
        those that a parameter server would not stop after.
        """
        if steps is not None and (epochs is None or algorithm.server is not None):
            message = (
                "steps_per_epoch is given without epochs, or with train_algo='paramserv': leave it"
                " out, or give epochs and another train_algo."
            )
            raise InvalidData(message)
        together, batches = algorithm.rows(batch_size, rows), algorithm.steps(batch_size, rows)
        whole = algorithm.server is not None
        iterations = math.ceil(max_iter * batch_size / together)
        if whole:
            iterations = math.ceil(iterations / batches) * batches
        plan = cls(
            rows,
            together,
            iterations,
            batches,
            positive("steps_per_epoch", batches if steps is None else steps),
            algorithm.part(batch_size),
            interval,
            by_epoch,
            counted("initial_epoch", first_epoch),
            whole,
        )
        return plan if epochs is None else plan._for(counted("epochs", epochs) - first_epoch)

    @property
    def epochs(self) -> int:
        """The epochs that are over when the run is, with those before it."""
        return self.first_epoch + (self.place(self.iterations - 1)[0] + 1 if self.iterations else 0)

    def place(self, iteration: int) -> tuple[int, int]:
        """The epoch of this run in which an iteration is, and its place there; all from 0."""
        passes, at = divmod(iteration, self.batches)
        epochs, place = divmod(at, self.steps)
        return passes * math.ceil(self.batches / self.steps) + epochs, place

    def ends_epoch(self, done: int) -> bool:
        """Whether an epoch, or the run, is over after so many iterations."""
        return done == self.iterations or self.place(done)[1] == 0

    def from_epoch(self, epoch: int) -> Self:
        """The same, if it begins with a later epoch, and with the first rows."""
        later = epoch - self.first_epoch
        if self.steps < self.batches:
            return replace(self._for(self.epochs - epoch), first_epoch=epoch)
        left = max(0, self.iterations - later * self.batches)
        return replace(self, first_epoch=epoch, iterations=left)

    def next(self, done: int, limit: int) -> int:
        """How many iterations to run next: at most `limit`, and not past a stop."""
        if self.whole_epochs:
            return self.batches
        at = done % self.batches
        of_epoch = min(self.steps - at % self.steps, self.batches - at)
        most = [self.interval - done % self.interval] if self.interval else []
        most += [of_epoch] if self.by_epoch else []
        return min(limit, self.iterations - done, *most)

    def _for(self, epochs: int) -> Self:
        """The same for so many epochs."""
        passes, rest = divmod(max(0, epochs), math.ceil(self.batches / self.steps))
        count = passes * self.batches + rest * self.steps
        return replace(self, iterations=count)
