"""The learning rate from hook to hook and from fit to fit, and what else callbacks leave behind."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import callbacks as kc
from keras.layers import Dense
from oracle import model
from small_models import FIT, HELD, X, Y, same

from keras2dml import InvalidData, UnsupportedModel

KERAS = "ignore:__array__ implementation doesn't accept a copy keyword"
pytestmark = [pytest.mark.spark, pytest.mark.systemds, pytest.mark.filterwarnings(KERAS)]

QUIET = {**FIT, "verbose": 0}


def plain(optimizer: object = None, loss: str = "sparse_categorical_crossentropy") -> keras.Model:
    built = model((7,), Dense(3, "softmax"))
    built.compile(optimizer or keras.optimizers.SGD(0.5, momentum=0.5), loss, run_eagerly=True)
    return built


def halving() -> kc.Callback:
    return kc.LearningRateScheduler(lambda epoch, rate: rate * 0.5)


def test_a_rate_of_zero_moves_nothing(run):
    built, theirs = plain(), plain()
    ours = run(built).fit(
        X, Y, epochs=2, callbacks=kc.LearningRateScheduler(lambda _: 0.0), **QUIET
    )
    same(ours.to_keras().get_weights(), theirs.get_weights(), 0)


def test_the_rate_is_the_one_that_the_model_came_with(run):
    built, theirs = plain(), plain()
    ours = run(built)
    rate = float(built.optimizer.learning_rate)
    built.optimizer.learning_rate = 100.0  # later, and of the Keras model alone
    with pytest.raises(InvalidData, match="has a different learning_rate than when the estimator"):
        ours.fit(X, Y, epochs=1, **QUIET)
    built.optimizer.learning_rate = rate
    for trained in (ours, theirs):
        trained.fit(X, Y, epochs=1, **QUIET)
    same(ours.to_keras().get_weights(), theirs.get_weights())


def test_a_function_as_rate_is_refused(run):
    with pytest.raises(UnsupportedModel, match="'sgd' has a function as its learning_rate"):
        run(plain(keras.optimizers.SGD(lambda: 0.5)))


def test_the_next_fit_continues_at_the_rate_set_by_callbacks(run):
    ours, theirs = run(plain()), plain()
    for callbacks in ([halving()], [], [halving()]):
        for trained in (ours, theirs):
            trained.fit(X, Y, epochs=2, callbacks=callbacks, **QUIET)
    same(ours.to_keras().get_weights(), theirs.get_weights())
    assert float(ours.to_keras().optimizer.learning_rate) == pytest.approx(0.5 / 16)


def test_a_checkpoint_has_the_rate(run, tmp_path):
    def killed(epoch: int, logs: object) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    built, arguments = plain(), {"epochs": 4, **QUIET}
    with pytest.raises(KeyboardInterrupt):
        listener = kc.LambdaCallback(on_epoch_begin=killed)
        run(built).fit(X, Y, callbacks=[halving(), listener], checkpoint=tmp_path, **arguments)
    ours = run(built).fit(X, Y, callbacks=[halving()], checkpoint=tmp_path, **arguments)
    wanted = plain()
    theirs = wanted.fit(X, Y, callbacks=[halving()], **arguments)
    same(ours.to_keras().get_weights(), wanted.get_weights())
    same(ours.history["learning_rate"], theirs.history["learning_rate"], 1e-6)


def test_a_checkpoint_of_other_epochs_is_refused_and_leaves_the_history(run, tmp_path):
    def killed(epoch: int, logs: object) -> None:
        if epoch:
            raise KeyboardInterrupt

    built, listener = plain(), kc.LambdaCallback(on_epoch_begin=killed)
    ours = run(built).fit(X, Y, epochs=1, **QUIET)
    before = dict(ours.history)
    with pytest.raises(KeyboardInterrupt):
        run(built).fit(
            *(X, Y), epochs=4, steps_per_epoch=2, callbacks=listener, checkpoint=tmp_path, **QUIET
        )
    with pytest.raises(InvalidData, match=r"another run: .*steps differ"):
        ours.fit(X, Y, epochs=2, checkpoint=tmp_path, **QUIET)
    assert ours.history == before


def test_history_has_the_metrics_of_each_epoch(run):
    def noted(epoch: int, logs: dict[str, object]) -> None:
        if epoch % 2:
            logs["odd"] = "yes"

    def noting() -> kc.Callback:
        return kc.LambdaCallback(on_epoch_end=noted)

    arguments = {"epochs": 5, "validation_data": HELD, "validation_freq": 2, **QUIET}
    built = plain()
    ours = run(built).fit(X, Y, callbacks=[noting()], **arguments)
    theirs = plain().fit(X, Y, callbacks=[noting()], **arguments)
    assert ours.history["odd"] == theirs.history["odd"] == ["yes", "yes"]
    same(ours.history["val_loss"], theirs.history["val_loss"], 1e-6)


def test_changes_of_a_callback_are_kept_if_another_fails(run):
    class Changing(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])

    class Failing(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ValueError(epoch)

    ours, theirs = run(plain()), plain()
    for trained in (ours, theirs):
        with pytest.raises(ValueError, match=r"^0$"):
            trained.fit(X, Y, epochs=2, callbacks=[Changing(), Failing()], **QUIET)
    same(ours.to_keras().get_weights(), theirs.get_weights())


def test_averages_of_no_steps_leave_the_weights(run):
    built = plain(keras.optimizers.SGD(use_ema=True))
    ours = run(built).fit(X, Y, epochs=0)
    same(ours.to_keras().get_weights(), built.get_weights(), 0)


def test_shares_are_weighted_as_the_class_that_keras_rounds_them_to(run):
    shares = np.array([0.3, 0.0, 1.0, 0.7, 0.5])[np.arange(23) % 5]
    arguments = {"class_weight": {0: 1.0, 1: 5.0}, "epochs": 2, **QUIET}
    ours, theirs = model((7,), Dense(1, "sigmoid")), model((7,), Dense(1, "sigmoid"))
    for built in (ours, theirs):
        built.compile("sgd", "binary_crossentropy", run_eagerly=True)
    found = run(ours).fit(X, shares, **arguments)
    theirs.fit(X, shares, **arguments)
    same(found.to_keras().get_weights(), theirs.get_weights())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"callbacks": kc.LambdaCallback(on_test_batch_end=print)}, "waits for batches of the val"),
        ({"epochs": 2.5}, "epochs is 2.5: give a whole number"),
        ({"initial_epoch": -1}, "initial_epoch is -1: give a whole number"),
        ({"batch_size": 2.5}, "batch_size is 2.5: give a whole number"),
        ({"validation_freq": 2.0}, "validation_freq is 2.0: give a whole number"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(run, arguments, message):
    with pytest.raises(InvalidData, match=message):
        run(plain()).fit(X, Y, **{"epochs": 2, "validation_data": HELD, **arguments})


def test_another_schedule_is_refused(run):
    def changed(epoch: int, logs: object) -> None:
        callback.model.optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(
            1, 1, 1
        )

    callback = kc.LambdaCallback(on_epoch_begin=changed)
    with pytest.raises(InvalidData, match="gave the optimizer another schedule"):
        run(plain()).fit(X, Y, epochs=1, callbacks=[callback])


def test_steps_are_whole_executions(run):
    built = plain()
    built.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=2)
    ours = run(built)
    with pytest.raises(InvalidData, match="steps_per_epoch is 3: give a multiple of steps_per_ex"):
        ours.fit(X, Y, epochs=2, steps_per_epoch=3)
    with pytest.raises(InvalidData, match=r"^steps is 1: give a multiple"):
        ours.evaluate(X, Y, steps=1)


@pytest.mark.parametrize("weights", [[], [1.0, 2.0]])
def test_one_output_has_one_weight(run, weights):
    built = plain()
    built.compile("sgd", "sparse_categorical_crossentropy", loss_weights=weights)
    with pytest.raises(Exception, match=r"loss_weights are .* Give one for each output"):
        run(built)
