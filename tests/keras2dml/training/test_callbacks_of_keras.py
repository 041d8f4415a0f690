"""The callbacks of keras.callbacks act as under keras.Model.fit."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import callbacks as kc
from oracle import examples
from small_models import FIT, HELD, X, Y, both, rows, same, small

from keras2dml.training.callbacks import Callbacks

KERAS = "ignore:__array__ implementation doesn't accept a copy keyword"
pytestmark = [pytest.mark.spark, pytest.mark.systemds, pytest.mark.filterwarnings(KERAS)]


def test_callbacks_act_as_in_keras(run, tmp_path):
    held = examples(small(), 9, seed=5), np.arange(9) % 3

    def callbacks(name: str) -> list[keras.callbacks.Callback]:
        return [
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=0.05),
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            keras.callbacks.EarlyStopping(
                patience=2, min_delta=0.03, restore_best_weights=True, start_from_epoch=1
            ),
            keras.callbacks.CSVLogger(str(tmp_path / f"{name}.csv")),
            keras.callbacks.ModelCheckpoint(str(tmp_path / f"{name}-{{epoch}}.keras")),
        ]

    arguments = {"epochs": 20, "validation_data": held, **FIT}
    built = small(keras.optimizers.SGD(0.3, momentum=0.5), metrics=["accuracy"])
    ours = run(built).fit(*rows(), callbacks=callbacks("ours"), **arguments)
    theirs = built.fit(*rows(), callbacks=callbacks("theirs"), verbose=0, **arguments)
    assert 3 < len(theirs.epoch) < 20
    assert ours.epoch == theirs.epoch
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)
    same(ours.to_keras().get_weights(), built.get_weights())
    logs = [
        list(csv.reader((tmp_path / f"{name}.csv").read_text().splitlines()))
        for name in ("ours", "theirs")
    ]
    assert logs[0][0] == logs[1][0]
    np.testing.assert_allclose(*(np.array(log[1:], float) for log in logs), rtol=1e-6)
    kept = [keras.models.load_model(tmp_path / f"{name}-3.keras") for name in ("ours", "theirs")]
    same(*(one.get_weights() for one in kept))
    same(*([variable.numpy() for variable in one.optimizer.variables] for one in kept))


MONITORS = [
    lambda _: kc.EarlyStopping("val_accuracy", patience=1),
    lambda _: kc.EarlyStopping("accuracy", patience=0, restore_best_weights=True),
    lambda _: kc.ReduceLROnPlateau("val_accuracy", patience=0, factor=0.5),
    pytest.param(
        lambda _: [kc.TerminateOnNaN(), kc.History(), kc.ProgbarLogger()], marks=pytest.mark.long
    ),
    lambda path: kc.ModelCheckpoint(f"{path}.keras", "val_accuracy", save_best_only=True),
    lambda path: kc.ModelCheckpoint(
        f"{path}-{{batch}}.weights.h5", save_weights_only=True, save_freq=3
    ),
    pytest.param(lambda path: kc.BackupAndRestore(path, save_freq=2), marks=pytest.mark.long),
]


@pytest.mark.parametrize("make", MONITORS)
def test_the_callbacks_of_keras_act_as_in_keras(run, tmp_path, make):
    both(run, lambda name: make(str(tmp_path / name)), epochs=4)
    left = [
        sorted(path.name.replace(name, "") for path in tmp_path.iterdir() if name in path.name)
        for name in ("ours", "theirs")
    ]
    assert left[0] == left[1]


@pytest.mark.parametrize("on_epoch", [True, False])
def test_averages_take_the_weights_place_while_they_are_measured(run, on_epoch):
    averaging = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    built = small(averaging, metrics=["accuracy"])
    both(run, lambda _: [kc.SwapEMAWeights(swap_on_epoch=on_epoch)], built)


def test_weights_are_copied_for_hooks_that_a_callback_has(run, monkeypatch):
    """And when the training begins and ends."""
    copies: list[object] = []
    take = Callbacks._take

    def taken(callbacks: Callbacks, before: dict[str, np.ndarray]) -> None:
        copies.append(before)
        take(callbacks, before)

    monkeypatch.setattr(Callbacks, "_take", taken)
    at_ends = kc.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    run(small()).fit(X, Y, epochs=2, callbacks=at_ends, validation_data=HELD, **FIT)
    assert len(copies) == 4


def test_training_that_breaks_is_stopped_where_it_breaks(run):
    def optimizer() -> keras.optimizers.Optimizer:
        return keras.optimizers.SGD(1e200)

    built = small(optimizer())
    ours = run(built).fit(X, Y, epochs=3, callbacks=kc.TerminateOnNaN(), **FIT)
    built.fit(X, Y, epochs=3, callbacks=kc.TerminateOnNaN(), verbose=0, **FIT)
    assert len(ours.iterations) == int(built.optimizer.iterations) < 15


class Summary:
    """Notes what TensorBoard would have tf.summary do; `folder` is a writer's."""

    def __init__(self, calls: list[tuple[object, ...]], folder: str = "") -> None:
        self.calls, self.folder = calls, Path(folder).name

    def create_file_writer(self, folder: str) -> Summary:
        return Summary(self.calls, folder)

    @contextlib.contextmanager
    def as_default(self, step: int | None = None) -> Iterator[None]:
        self.calls.append(("writes to", self.folder, step))
        yield
        self.calls.append(("has written to", self.folder, step))

    @contextlib.contextmanager
    def record_if(self, condition: Callable[[], bool]) -> Iterator[None]:
        self.calls.append(("writes if", condition()))
        yield

    def scalar(self, name: str, value: float, step: int) -> None:
        self.calls.append((name, int(step), pytest.approx(float(value), rel=1e-6)))

    def close(self) -> None:
        self.calls.append(("closes", self.folder))


@pytest.mark.parametrize("update_freq", ["epoch", pytest.param(2, marks=pytest.mark.long)])
def test_tensorboard_gets_what_keras_would_log(run, tmp_path, update_freq):
    calls: dict[str, list[tuple[object, ...]]] = {"ours": [], "theirs": []}

    def make(name: str) -> kc.TensorBoard:
        board = kc.TensorBoard(tmp_path / name, write_graph=False, update_freq=update_freq)
        board._summary_module = Summary(calls[name])
        return board

    both(run, make)
    assert len(calls["ours"]) > 20
    assert calls["ours"] == [
        (*call[:-1], getattr(call[-1], "expected", call[-1])) for call in calls["theirs"]
    ]
