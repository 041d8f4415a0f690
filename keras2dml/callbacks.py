"""Keras' callbacks at the ends of epochs: they see a Keras model with the weights as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from keras2dml.compilation import Compilation
from keras2dml.errors import InvalidData

BY_BATCH = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
BY_EPOCH = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)
"""The callbacks that wait for batches only where their `save_freq` is no epoch."""


class Callbacks:
    """The callbacks of one training run, and the Keras model that they see.

    They may read and change its weights and its optimizer's learning rate, and stop the training;
    what they put into the logs is in the history.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        compilation: Compilation,
        matrices: Mapping[str, np.ndarray],
        steps: int,
        epochs: int,
    ) -> None:
        """Raises InvalidData for a callback that waits for batches."""
        _check(callbacks)
        self._compilation = compilation
        self.model = compilation.keras_model(matrices, steps, compiled=True)
        self._history = keras.callbacks.History()
        self._all = keras.callbacks.CallbackList(
            [*callbacks, self._history], model=self.model, epochs=epochs
        )
        self.model.stop_training = False
        self._all.on_train_begin()

    @property
    def stopped(self) -> bool:
        """Whether a callback has stopped the training."""
        return bool(self.model.stop_training)

    @property
    def rate(self) -> float | None:
        """The learning rate that the optimizer has now; None for one that has a schedule."""
        rate = self.model.optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return None
        return float(rate)

    @property
    def logs(self) -> dict[str, float]:
        """What the callbacks left in the history of the last epoch."""
        return {name: float(values[-1]) for name, values in self._history.history.items()}

    def enter(self, matrices: Mapping[str, np.ndarray], steps: int) -> None:
        """Give the model the matrices that the training has now."""
        self._compilation.enter(self.model, matrices, steps)

    def began(self, epoch: int) -> dict[str, np.ndarray]:
        """An epoch begins, counted from 0; the weights if the callbacks change them."""
        return self._changed(lambda: self._all.on_epoch_begin(epoch))

    def ended(self, epoch: int, logs: dict[str, float]) -> dict[str, np.ndarray]:
        """An epoch has ended with these measures; the weights if the callbacks change them."""
        return self._changed(lambda: self._all.on_epoch_end(epoch, logs))

    def finished(self) -> dict[str, np.ndarray]:
        """Training has ended; the weights if a callback puts others in their place."""
        return self._changed(lambda: self._all.on_train_end({}))

    def _changed(self, call: Callable[[], None]) -> dict[str, np.ndarray]:
        """The weights as DML matrices, if what is called changes one of them."""
        before = self.model.get_weights()
        call()
        after = self.model.get_weights()
        if all(map(np.array_equal, before, after)):
            return {}
        parameters = self._compilation.graph.parameters
        return {one.name: one.weight.to_dml(after[one.position]) for one in parameters}


def _check(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    for callback in callbacks:
        kind = type(callback)
        own = [
            name
            for name in BY_BATCH
            if getattr(kind, name) is not getattr(keras.callbacks.Callback, name)
        ]
        by_epoch = isinstance(callback, BY_EPOCH) and callback.save_freq == "epoch"
        if own and kind is not keras.callbacks.LambdaCallback and not by_epoch:
            message = (
                f"The callback {kind.__name__} waits for batches ({', '.join(own)}). Callbacks are"
                " called for epochs: use on_epoch_begin and on_epoch_end."
            )
            raise InvalidData(message)
