"""How an estimator is trained: what it trains on, what it measures beside, and what it keeps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras2dml.data.features import Names
from keras2dml.errors import InvalidData, positive
from keras2dml.estimators.predicting import Predicting
from keras2dml.training import reporting
from keras2dml.training.callbacks import Callbacks
from keras2dml.training.checkpoint import Checkpoint
from keras2dml.training.examples import Data, parts, split, split_test
from keras2dml.training.run import Run, Validation


@dataclass(frozen=True)
class Measured:
    """Keras' arguments of validation: the data or a share of X, and how they are measured. Raises
    InvalidData for numbers that are out of range, if anything is measured.
    """

    data: Any
    split: float
    batch_size: int
    steps: int | None
    frequency: int | Collection[int]

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.is_any:
            positive("validation_batch_size", self.batch_size)
            if self.steps is not None:
                positive("validation_steps", self.steps)
            if not isinstance(self.frequency, Collection):
                positive("validation_freq", self.frequency)

    @property
    def is_any(self) -> bool:
        """Whether anything is measured."""
        return self.data is not None or bool(self.split)


class Fitting(Predicting):
    """The parts of a training."""

    def _check_trainable(self, measured: Measured, **steps: int | None) -> None:
        """Raise InvalidData, InvalidSession or UnsupportedModel before anything is read."""
        self._algorithm.check_session(self.spark)
        self._systemds.options.check_trainable()
        self._compilation.check_trainable()
        if measured.is_any:
            self._compilation.check_measurable()
        self._compilation.check_steps(**steps, validation_steps=measured.steps)

    def _held_out(
        self,
        stack: ExitStack,
        data: Data,
        tables: Sequence[Names | None],
        measured: Measured,
        tests: tuple[int, int],
        *,
        by_class: bool,
    ) -> tuple[Data, Validation | None, Data | None]:
        """The examples to train on, those for validation, and those for SystemML's tests, of so
        many batches of a size; `stack` frees what is read.
        """
        how = measured.batch_size, measured.steps, measured.frequency
        if measured.data is not None:
            classes = [target.classes for target in data.targets]
            rows = parts(measured.data)
            try:
                validation = self._validation(rows, classes, tables, *how, "validation_steps")
            except InvalidData as error:
                message = f"In validation_data: {error}"
                raise InvalidData(message) from error.__cause__
            stack.enter_context(closing(validation.data))
            return data, validation, None
        if measured.split:
            data, rest = split(data, measured.split, by_class=by_class)
            return data, Validation.of(rest, *how), None
        if tests[0]:
            data, tested = split_test(data, *tests, by_class=by_class)
            return data, None, tested
        return data, None, None

    def _prepare(
        self,
        run: Run,
        callbacks: object,
        verbose: int | str | None,
        checkpoint: Path | str | None,
        seed: int,
    ) -> None:
        """Give a run its callbacks and its checkpoint, which must be writable."""
        plan, training = run.plan, run.training
        if checkpoint is not None:
            about: dict[str, Any] = {**asdict(plan), "seed": seed, "script": training.fingerprint}
            if plan.steps == plan.batches:
                del about["steps"]  # as checkpoints were before there were any
            run.checkpoint = Checkpoint(checkpoint, about)
            run.checkpoint.check_writable()
        if callbacks:
            run.callbacks = Callbacks(
                callbacks,
                self._compilation,
                training,
                plan,
                verbose,
                resumes=checkpoint is not None,
                users=self.keras_model,
            )

    def _carry_out(self, run: Run, verbose: int | str | None, display: int) -> None:
        """Carry out the run, and keep its results, also if it is interrupted."""
        quiet = verbose == 0 if verbose is not None else not display
        try:
            with ExitStack() as stack:
                if run.report is None and not quiet:
                    every = 0 if verbose == 2 else display
                    run.display = stack.enter_context(reporting.Display(run.plan.iterations, every))
                run.go()
        except BaseException:
            done = len(run.iterations)
            run.sum_up(done - done % run.plan.batches)
            if done:
                with suppress(Exception):  # the session may be gone
                    self._keep(run)
            raise
        self._keep(run)

    def _keep(self, run: Run) -> None:
        """Take over the results of a run so far."""
        matrices = run.training.matrices()
        self._state = {name: own for name, own in matrices.items() if name not in self._matrices}
        self._replace_weights({name: matrices[name] for name in self._matrices})
        self._steps, self._rate = run.training.steps, run.training.rate
        self.history, self.iterations = dict(run.history), run.iterations
        first, done = run.plan.first_epoch, len(self.history.get("loss", ()))
        self.epoch = list(range(first, first + done))
        self._validated = run.validated(self.epoch)
