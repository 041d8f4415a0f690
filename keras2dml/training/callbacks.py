"""Keras callbacks in a training run, which see and change it through a Keras model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np

from keras2dml.compilation import Compilation
from keras2dml.copying.traced import Watch
from keras2dml.errors import InvalidData
from keras2dml.keras_internals import (
    build_symbolically,
    initial_epoch_of,
    is_tracing,
    iterations_of,
    learning_rate_of,
)
from keras2dml.objectives.sums import Measure
from keras2dml.training.metric_watch import MetricWatch
from keras2dml.training.plan import Plan
from keras2dml.training.steps import Iteration, Training, averages
from keras2dml.training.trained_copies import enter, keras_model

_BATCH = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_HOOKS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("on_train_begin", "on_train_end"), ()),  # the training begins and ends there
    "on_train_batch_begin": ("on_train_batch_begin", "on_batch_begin"),
    "on_train_batch_end": ("on_train_batch_end", "on_batch_end"),
}
"""The methods that a hook calls, where not only that of its name; none if it is always attended to.
"""
_TEST_BATCH = ("on_test_batch_begin", "on_test_batch_end")

_KERAS = tuple(kind for kind in vars(keras.callbacks).values() if isinstance(kind, type))


class Callbacks:
    """The callbacks of one training run, and the Keras model that they see.

    Each hook is called where `keras.Model.fit` calls it, with the weights, the optimizer's state,
    the learning rate and the measures of that moment; what it changes of these, the training goes
    on with. Where one waits for batches, `batches` are trained at a time, else as many as are
    quick, and hooks that look at no weights are called for each of them afterwards.
    """

    def __init__(
        self,
        callbacks: object,
        compilation: Compilation,
        training: Training,
        plan: Plan,
        verbose: int | str | None,
        *,
        resumes: bool = False,
        users: keras.Model | None = None,
    ) -> None:
        """Raises InvalidData, which names the callback, for what cannot be served; in a run that
        `resumes` from a checkpoint of ours, one that does so, too. A stop is looked for in the
        `users` model as well, which callbacks may know by themselves.
        """
        self._callbacks: list[keras.callbacks.Callback] = keras.tree.flatten(callbacks)
        _check(self._callbacks, whole_epochs=plan.whole_epochs, resumes=resumes)
        self._compilation, self._training = compilation, training
        self.batches = _batches(self._callbacks, compilation.model)
        self.model = keras_model(
            compilation, training.matrices(), training.steps, training.rate, compiled=True
        )
        build_symbolically(self.model, _example(self.model, training))
        self._seen = training.steps
        self._logs: Mapping[str, Measure] | None = None
        self._history = keras.callbacks.History()
        self._all = keras.callbacks.CallbackList(
            [*self._callbacks, self._history],
            model=self.model,
            verbose="auto" if verbose is None else verbose,
            epochs=plan.epochs,
            steps=plan.steps,
        )
        self._listens = any(_own(callback, _BATCH) for callback in self._callbacks)
        self._models = (self.model, users or compilation.model)
        for model in self._models:
            model.stop_training = False
        self._metric_watch = MetricWatch(self._models)
        self._watch = Watch(*self._models, eager=compilation.configuration.eager)
        self._trained = False

    @property
    def stopped(self) -> bool:
        """Whether a callback has stopped the training."""
        return any(model.stop_training for model in self._models)

    @property
    def most(self) -> int | None:
        """Maximum batches to train before the next hook; None for no limit.

        Keras checks for a stop after each batch: an epoch that begins stopped has one batch.
        """
        return self.batches or (1 if self.stopped else None)

    def begin(self) -> int | None:
        """Call the hooks for the beginning of training; returns the initial epoch, if a callback
        sets one.
        """
        self._call("on_train_begin")
        return initial_epoch_of(self.model) or None

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins, counted from 0."""
        self._call("on_epoch_begin", epoch, counted=True)

    def begin_batches(self, batch: int) -> None:
        """Those are trained next that begin with this batch of the epoch, counted from 0."""
        if self.batches:
            self._call("on_train_batch_begin", batch, counted=True)

    def end_batches(self, batch: int, epoch: Sequence[Iteration]) -> None:
        """Those from this batch on have been trained: `epoch` has all of the epoch so far."""
        self._trained = True
        if self.batches:
            last = batch + self.batches - 1
            self._call("on_train_batch_end", last, averages(epoch), counted=True)
            return
        for number in range(batch, len(epoch)) if self._listens else ():
            self._all.on_train_batch_begin(number)
            self._all.on_train_batch_end(number, averages(epoch[: number + 1]))

    def validate(
        self, batches: int, measure: Callable[[], dict[str, Measure]]
    ) -> dict[str, Measure]:
        """What is measured after an epoch, in so many batches."""
        self._call("on_test_begin", counted=True)
        logs = measure()
        for batch in range(batches):
            self._all.on_test_batch_begin(batch)
            self._all.on_test_batch_end(batch, logs)
        self._call("on_test_end", logs)
        return logs

    def end_epoch(self, epoch: int, logs: Mapping[str, Measure]) -> dict[str, Measure]:
        """An epoch has ended with these measures; they with what the callbacks made of them."""
        self._logs, history = dict(logs), self._history.history
        before = {name: len(values) for name, values in history.items()}
        self._call("on_epoch_end", epoch, self._logs)
        return {
            name: values[-1]
            for name, values in history.items()
            if len(values) > before.get(name, 0)
        }

    def end(self) -> None:
        """Call the hooks for the end of training."""
        self._watch.eager = False  # no step follows
        self.enter()
        self._call("on_train_end", self._logs)

    def enter(self) -> None:
        """Update the model to the current state of the training."""
        self._seen = self._training.steps
        training = self._training
        enter(self._compilation, self.model, training.matrices(), self._seen, training.rate)

    def _call(self, name: str, *arguments: object, counted: bool = False) -> None:
        """Call a hook of all callbacks, and take what they change, if one has it. What is measured
        there is `counted` by Keras with the epoch, or the validation, that goes on.
        """
        hook = getattr(self._all, name)
        names = _HOOKS.get(name, (name,))
        if names and not any(_own(callback, names) for callback in self._callbacks):
            hook(*arguments)
            return
        training = self._training
        if self._seen != training.steps:
            self.enter()
        optimizer = self.model.optimizer
        before, rate = dict(self._matrices()), learning_rate_of(optimizer)
        try:
            with self._metric_watch.watching(counted=counted):
                hook(*arguments)
        finally:  # of several callbacks one may have changed something before another one raised
            self._watch.check(trained=self._trained)
            if self.model.optimizer is not optimizer:
                message = "A callback gave the model another optimizer: compile() it with that one."
                raise InvalidData(message)
            self._take(before)
        if learning_rate_of(self.model.optimizer) is not rate:
            message = (
                "A callback gave the optimizer another schedule: set its learning_rate to a number,"
                " or compile() the model with the schedule."
            )
            raise InvalidData(message)

    def _take(self, before: Mapping[str, np.ndarray]) -> None:
        """Let the training have what differs from the matrices of before."""
        training = self._training
        after = dict(self._matrices())
        training.change(
            {
                name: matrix
                for name, matrix in after.items()
                if not np.array_equal(matrix, before[name], equal_nan=True)
            }
        )
        self._seen = training.steps = int(iterations_of(self.model.optimizer))
        training.rate = self._rate()

    def _matrices(self) -> Iterator[tuple[str, np.ndarray]]:
        """The model's current weights and optimizer state as DML matrices."""
        weights = self.model.get_weights()
        for parameter in self._compilation.graph.parameters:
            yield parameter.name, parameter.weight.to_dml(weights[parameter.position])
        for state in self._compilation.optimizer_matrices(self.model):
            yield state.name, state.to_dml()

    def _rate(self) -> float | None:
        """The optimizer's current learning rate; None if it has a schedule."""
        rate = learning_rate_of(self.model.optimizer)
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return None
        return float(rate)


def _own(callback: keras.callbacks.Callback, hooks: Sequence[str]) -> list[str]:
    """The hooks that a callback overrides."""
    base = keras.callbacks.Callback
    return [
        name
        for name in hooks
        if getattr(getattr(callback, name), "__func__", None) is not getattr(base, name)
    ]


def _batches(callbacks: Sequence[keras.callbacks.Callback], model: keras.Model) -> int:
    """How many batches are trained between two hooks for batches; 0 where none waits for them."""
    waits = any(_own(callback, _BATCH) and not _by_epoch(callback) for callback in callbacks)
    return int(model.steps_per_execution if model.compiled else 1) if waits else 0


def _by_epoch(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback of Keras' own does nothing with the model at batches."""
    if type(callback) in (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore):
        return bool(callback.save_freq == "epoch")
    if type(callback) is keras.callbacks.TensorBoard:
        return callback.update_freq == "epoch" and not is_tracing(callback)
    return type(callback) is keras.callbacks.ProgbarLogger


def _check(
    callbacks: Sequence[keras.callbacks.Callback], *, whole_epochs: bool, resumes: bool
) -> None:
    for callback in callbacks:
        is_class = isinstance(callback, type)
        kind = callback.__name__ if is_class else type(callback).__name__
        if is_class and issubclass(callback, keras.callbacks.Callback):
            message = f"{kind} is a class: pass an instance, {kind}()."
            raise InvalidData(message)
        if not isinstance(callback, keras.callbacks.Callback) or isinstance(
            callback, keras.callbacks.CallbackList
        ):
            message = f"{kind} is no callback of Keras: give one of keras.callbacks, or a list."
            raise InvalidData(message)
        if resumes and isinstance(callback, keras.callbacks.BackupAndRestore):
            message = (
                f"The callback {kind} goes on where a run was, as `checkpoint` does: give one of"
                " the two."
            )
            raise InvalidData(message)
        keras_own = type(callback) in _KERAS
        waits = [
            name for name in _own(callback, _TEST_BATCH) if not keras_own or name in vars(callback)
        ]
        if waits:
            message = (
                f"The callback {kind} waits for batches of the validation ({', '.join(waits)}),"
                " which is measured at once: use on_test_begin and on_test_end."
            )
            raise InvalidData(message)
        waits = _own(callback, _BATCH)
        if waits and whole_epochs and not _by_epoch(callback):
            message = (
                f"The callback {kind} waits for batches ({', '.join(waits)}), which the parameter"
                " server keeps to itself: use on_epoch_begin and on_epoch_end, or another"
                " train_algo."
            )
            raise InvalidData(message)


def _example(model: keras.Model, training: Training) -> tuple[object, object]:
    """An example of zeros, from which Keras infers the kinds of metrics."""
    objective = training.objective
    values = zip(model.inputs, objective.graph.inputs, strict=True)
    x = [np.zeros((1, *value.shape), tensor.dtype) for tensor, value in values]
    y = []
    for tensor, goal in zip(model.outputs, objective.goals, strict=True):
        by_number = goal.of_classes or goal.loss.kind == "labels"
        shape = goal.value.shape[:-1] if by_number else goal.value.shape
        y.append(np.zeros((1, *shape), int if by_number else tensor.dtype))
    return objective.graph.takes.packed(x), objective.graph.gives.packed(y)
