"""Keras' callbacks: each sees and does what it would under keras.Model.fit, or is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import callbacks as kc
from keras.layers import Dense
from oracle import model
from small_models import FEW, FIT, HELD, X, Y, both, rows, same, small

from keras2dml import InvalidData

KERAS = "ignore:__array__ implementation doesn't accept a copy keyword"
pytestmark = [pytest.mark.spark, pytest.mark.systemds, pytest.mark.filterwarnings(KERAS)]


def test_a_callback_of_a_user_may_change_weights(run):
    class Halving(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])

    built = small()
    ours = run(built).fit(*FEW, epochs=2, callbacks=[Halving()], **FIT)
    built.fit(*FEW, epochs=2, callbacks=[Halving()], verbose=0, **FIT)
    same(ours.to_keras().get_weights(), built.get_weights())


class Recorder(kc.Callback):
    """Whatever a callback sees, hook by hook."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int | None, dict[str, float], float, int, list[np.ndarray]]] = []

    def note(self, hook: str, number: int | None, logs: dict[str, Any] | None) -> None:
        optimizer, weights = self.model.optimizer, self.model.get_weights()
        rate, steps = float(optimizer.learning_rate), int(optimizer.iterations)
        self.seen.append((hook, number, dict(logs or {}), rate, steps, weights))

    def on_train_begin(self, logs=None):
        self.note("train begins", None, logs)

    def on_train_end(self, logs=None):
        self.note("train ends", None, logs)

    def on_test_begin(self, logs=None):
        self.note("test begins", None, logs)

    def on_test_end(self, logs=None):
        self.note("test ends", None, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.note("epoch begins", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch ends", epoch, logs)


class BatchRecorder(Recorder):
    """The same of batches."""

    def on_train_batch_begin(self, batch, logs=None):
        self.note("batch begins", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self.note("batch ends", batch, logs)


def alike(ours: Recorder, theirs: Recorder) -> None:
    assert [one[:2] for one in ours.seen] == [one[:2] for one in theirs.seen]
    assert ours.params == theirs.params
    for found, wanted in zip(ours.seen, theirs.seen, strict=True):
        assert found[2].keys() == wanted[2].keys()
        same([*found[2].values()], [*wanted[2].values()], 1e-6)
        assert found[3:5] == (pytest.approx(wanted[3]), wanted[4])
        same(found[5], wanted[5])


@pytest.mark.parametrize("kind", [Recorder, BatchRecorder])
def test_each_hook_sees_what_it_would_see_in_keras(run, kind):
    recorders = {name: kind() for name in ("ours", "theirs")}
    both(run, lambda name: [recorders[name]])
    alike(*recorders.values())


def test_several_steps_of_keras_have_one_hook(run):
    recorders = {name: BatchRecorder() for name in ("ours", "theirs")}
    both(run, lambda name: [recorders[name]], small(steps_per_execution=5))
    alike(*recorders.values())


class Meddling(kc.Callback):
    """Changes whatever it can, at one of the hooks."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        setattr(self, hook, self.change)

    def change(self, *_, **__):
        self.model.set_weights([weight * 0.9 for weight in self.model.get_weights()])
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 0.5
        for variable in self.model.optimizer.variables[2:]:
            variable.assign(np.asarray(variable) * 0.8)


LONG = pytest.mark.long
HOOKS = [
    *("on_train_begin", "on_test_begin", "on_train_batch_end"),
    *(
        pytest.param(hook, marks=LONG)
        for hook in (
            *("on_epoch_begin", "on_epoch_end", "on_train_end", "on_test_end"),
            *("on_train_batch_begin", "on_batch_end"),
        )
    ),
]


@pytest.mark.parametrize("hook", HOOKS)
def test_training_continues_with_what_a_hook_changes(run, hook):
    ours, built = both(run, lambda _: [Meddling(hook)])
    theirs = [np.asarray(variable) for variable in built.optimizer.variables]
    same([np.asarray(one) for one in ours.to_keras().optimizer.variables[2:]], theirs[2:])


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end"]
)
def test_a_stop_is_obeyed_where_keras_obeys_it(run, hook):
    def stopping(_: str) -> list[kc.Callback]:
        callback = kc.LambdaCallback()
        setattr(callback, hook, lambda *_, **__: setattr(callback.model, "stop_training", True))
        return [callback]

    ours, built = both(run, stopping)
    assert len(ours.iterations) == int(built.optimizer.iterations)


def test_training_resumes_from_a_backup(run, tmp_path):
    class Killing(kc.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup(name: str) -> kc.Callback:
        return kc.BackupAndRestore(tmp_path / name)

    arguments = {"epochs": 4, "validation_data": HELD, **FIT}
    for name, train in (("ours", lambda built: run(built).fit), ("theirs", lambda b: b.fit)):
        with pytest.raises(KeyboardInterrupt):
            train(small())(*FEW, callbacks=[backup(name), Killing()], verbose=0, **arguments)
    built, wanted = small(), small()
    ours = run(built).fit(*FEW, callbacks=backup("ours"), **arguments)
    theirs = built.fit(*FEW, callbacks=[backup("theirs")], verbose=0, **arguments)
    assert ours.epoch == theirs.epoch == [2, 3]
    np.testing.assert_allclose(ours.history["val_loss"], theirs.history["val_loss"], rtol=1e-6)
    wanted.fit(*FEW, verbose=0, **arguments)
    for found in (ours.to_keras(), built):
        same(found.get_weights(), wanted.get_weights())
    with pytest.raises(InvalidData, match="BackupAndRestore goes on where a run was"):
        run(built).fit(*FEW, callbacks=[backup("ours")], checkpoint=tmp_path / "own", **arguments)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_trained_before_an_error_is_kept(run, error):
    class Failing(kc.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise error

    built = small("sgd")
    ours = run(built)
    words = np.array(["a", "b", "c"])[FEW[1]]
    with pytest.raises(error):
        ours.fit(FEW[0], words, epochs=3, callbacks=[Failing()], **FIT)
    with pytest.raises(error):
        built.fit(*FEW, epochs=3, callbacks=[Failing()], verbose=0, **FIT)
    assert (ours.epoch, len(ours.iterations)) == ([0], 4)
    same(ours.to_keras().get_weights(), built.get_weights())
    assert {*ours.predict(X)} <= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (print, "builtin_function_or_method is no callback of Keras"),
        (kc.CallbackList([]), "CallbackList is no callback of Keras"),
        (int, "int is no callback of Keras"),
        (kc.EarlyStopping, r"EarlyStopping is a class: pass an instance, EarlyStopping\(\)\."),
    ],
)
def test_objects_other_than_callbacks_are_refused(run, callback, message):
    with pytest.raises(InvalidData, match=message):
        run(small()).fit(X, Y, epochs=1, callbacks=[callback])


def test_hooks_that_cannot_be_served_are_refused_by_name(run):
    class Watching(kc.Callback):
        def on_test_batch_end(self, batch, logs=None):
            pass

    with pytest.raises(
        InvalidData, match=r"Watching waits for batches of the validation \(on_test"
    ):
        run(small()).fit(X, Y, epochs=1, callbacks=[Watching()], validation_data=HELD)
    built = model((7,), Dense(3, "softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy")
    ours = run(built).set(train_algo="paramserv")
    with pytest.raises(InvalidData, match=r"BatchRecorder waits for batches .* parameter server"):
        ours.fit(X, Y, epochs=1, callbacks=[BatchRecorder()], batch_size=5)


def freeze(built: keras.Model) -> None:
    built.layers[0].trainable = False


CHANGES = {
    r"dense\w*.trainable": freeze,
    "kernel.trainable": lambda built: setattr(built.layers[0].kernel, "trainable", False),
    "optimizer.beta_1": lambda built: setattr(built.optimizer, "beta_1", 0.5),
    "optimizer.clipnorm": lambda built: setattr(built.optimizer, "clipnorm", 0.1),
    "kernel.regularizer": lambda built: setattr(
        built.layers[0].kernel, "regularizer", keras.regularizers.L2()
    ),
    "activation": lambda built: setattr(built.layers[0], "activation", keras.activations.relu),
}


def test_a_change_that_keras_would_regard_is_refused_before_the_first_batch(run):
    built = small()
    ours = run(built)
    hooks = ("on_train_begin", "on_epoch_begin", "on_train_batch_begin") * 2
    for hook, (name, change) in zip(hooks, CHANGES.items(), strict=True):
        callback = kc.Callback()
        setattr(callback, hook, lambda *_, by=callback, do=change, **__: do(by.model))
        with pytest.raises(InvalidData, match=f"A callback changed .*{name}"):
            ours.fit(*rows(), epochs=1, callbacks=[callback], **FIT)
    rate = kc.LambdaCallback(
        on_epoch_begin=lambda *_: setattr(built.optimizer, "learning_rate", 0.5)
    )
    with pytest.raises(InvalidData, match=r"changed optimizer\.learning_rate"):
        ours.fit(*rows(), epochs=1, callbacks=[rate], **FIT)


def test_later_changes_count_as_little_as_in_keras_and_the_users_model_stops_training(run):
    built = small()
    built.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    before = built.get_weights()

    def made(model: keras.Model) -> list[kc.Callback]:
        callback = kc.Callback()

        def end(epoch, logs=None):
            freeze(callback.model)
            model.stop_training = epoch == 1

        callback.on_epoch_end = end
        return [callback]

    ours = run(built).fit(*rows(), epochs=3, callbacks=made(built), **FIT)
    built.set_weights(before)
    theirs = built.fit(*rows(), epochs=3, callbacks=made(built), verbose=0, **FIT)
    assert ours.epoch == theirs.epoch == [0, 1]
    same(ours.to_keras().get_weights(), built.get_weights())
