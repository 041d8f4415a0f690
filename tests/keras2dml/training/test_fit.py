"""fit() as Keras' users know it: epochs, callbacks, shuffling, and going on where it was."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras.layers import Dense, Dropout
from oracle import model
from small_models import FIT, rows, same

from keras2dml import InvalidData
from keras2dml.systemds.context import _Shared
from keras2dml.training.checkpoint import FILE
from keras2dml.training.steps import Training

# Keras itself reads variables in a way that numpy warns of.
KERAS = "ignore:__array__ implementation doesn't accept a copy keyword"
pytestmark = [pytest.mark.spark, pytest.mark.systemds, pytest.mark.filterwarnings(KERAS)]


def small(optimizer: object = "adam", **compiled: object) -> keras.Model:
    built = model((7,), Dense(5, "tanh"), Dense(3, "softmax"))
    built.compile(optimizer, "sparse_categorical_crossentropy", **compiled)
    return built


def test_fit_continues_with_the_state_of_the_optimizer(run):
    built = small(keras.optimizers.Nadam(0.01))
    ours = run(built)
    for begin, end in ((0, 1), (1, 3)):
        ours.fit(*rows(), epochs=end, initial_epoch=begin, **FIT)
        built.fit(*rows(), epochs=end, initial_epoch=begin, verbose=0, **FIT)
        assert ours.epoch == list(range(begin, end))
    same(ours.to_keras().get_weights(), built.get_weights())


def test_runs_of_different_lengths_are_compiled_once(run):
    ours = run(small())
    _Shared.programs.clear()
    ours.fit(*rows(), epochs=3, **FIT)
    assert len(_Shared.programs) == 1


def test_keras_and_systemds_hand_a_training_to_each_other(run, tmp_path):
    built, wanted = (small("adamw", run_eagerly=True) for _ in range(2))
    wanted.fit(*rows(), epochs=3, verbose=0, **FIT)
    built.fit(*rows(), epochs=1, verbose=0, **FIT)
    built.save(tmp_path / "begun.keras")
    ours = run(keras.models.load_model(tmp_path / "begun.keras"))
    ours.fit(*rows(), epochs=1, **FIT)
    ours.to_keras().save(tmp_path / "later.keras")
    last = keras.models.load_model(tmp_path / "later.keras")
    last.fit(*rows(), epochs=1, verbose=0, **FIT)
    same(last.get_weights(), wanted.get_weights())


def test_a_loop_of_fits_takes_the_orders_of_the_epochs_of_one(run):
    looped, whole = run(small("adam")), run(small("adam"))
    for _ in range(3):
        looped.fit(*rows(), batch_size=5, epochs=1)
    whole.fit(*rows(), batch_size=5, epochs=3)
    same(looped.to_keras().get_weights(), whole.to_keras().get_weights(), 0)


def test_rows_are_shuffled_by_seed_and_epoch(run):
    """Every row is in every epoch once, and the same seed makes the same run."""
    features, labels = rows()
    built = small(keras.optimizers.SGD(0.0), metrics=["accuracy"])
    ours = run(built).fit(features, labels, batch_size=5, epochs=2)
    losses = np.array([step.sums[0] for step in ours.iterations]).reshape(2, 5)
    assert not np.allclose(losses[0], losses[1])
    np.testing.assert_allclose(losses[0].sum(), losses[1].sum())

    def weights(seed: int) -> np.ndarray:
        again = run(small(), seed=seed).fit(features, labels, batch_size=5, epochs=2)
        return again.to_keras().get_weights()[0]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.allclose(weights(1), weights(2))


class Killed(Exception):
    pass


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_killed_run_resumes_from_its_checkpoint(run, tmp_path, monkeypatch, shuffle):
    def built() -> keras.Model:
        made = model((7,), Dense(9, "tanh"), Dropout(0.4), Dense(3, "softmax"))
        made.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
        return made

    arguments = {"batch_size": 5, "epochs": 4, "shuffle": shuffle, "validation_split": 0.2}
    wanted = run(built()).fit(*rows(), **arguments)
    iterations = Training._train

    def dying(self, plan, done, count, *batch):
        if done >= 9:
            raise Killed
        return iterations(self, plan, done, min(count, 2), *batch)

    monkeypatch.setattr(Training, "_train", dying)
    with pytest.raises(Killed):
        run(built()).fit(*rows(), checkpoint=tmp_path, **arguments)
    monkeypatch.undo()
    ours = run(built()).fit(*rows(), checkpoint=tmp_path, **arguments)
    same(ours.to_keras().get_weights(), wanted.to_keras().get_weights(), 1e-12)
    assert [step.loss for step in ours.iterations] == pytest.approx(
        [step.loss for step in wanted.iterations], rel=1e-12
    )
    assert ours.history["val_loss"] == pytest.approx(wanted.history["val_loss"], rel=1e-12)
    assert not (tmp_path / FILE).exists()


def test_a_checkpoint_of_another_run_is_refused(run, tmp_path, monkeypatch):
    def dying(self, *given):
        raise Killed

    monkeypatch.setattr("keras2dml.training.run.Run._end_epoch", lambda self: None)
    monkeypatch.setattr("keras2dml.training.checkpoint.Checkpoint.remove", dying)
    with pytest.raises(Killed):
        run(small()).fit(*rows(), epochs=3, checkpoint=tmp_path, **FIT)
    monkeypatch.undo()
    with pytest.raises(InvalidData, match="another run: batch_size, batches, iterations"):
        run(small()).fit(*rows(), epochs=3, checkpoint=tmp_path, batch_size=6, shuffle=False)
    for epochs, folder, reason in ((3, "/proc/a", "No such file"), (1, tmp_path / FILE, "exists")):
        with pytest.raises(InvalidData, match=f"cannot be written .*{reason}.*: give a path"):
            run(small()).fit(*rows(), epochs=epochs, checkpoint=folder, **FIT)
    (tmp_path / FILE).write_bytes(b"half")
    with pytest.raises(InvalidData, match="is no checkpoint"):
        run(small()).fit(*rows(), epochs=3, checkpoint=tmp_path, **FIT)


def test_numbers_are_predicted_and_scored(run):
    built = model((7,), Dense(2))
    built.compile("sgd", "mse")
    features = rows()[0]
    targets = features[:, :2] * 2 + 1
    ours = run(built).fit(features, targets, epochs=30, batch_size=5)
    np.testing.assert_array_equal(ours.predict(features), ours.predict_proba(features))
    spread = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    wanted = 1 - ((targets - ours.predict(features)) ** 2).sum(axis=0) / spread
    assert ours.score(features, targets) == pytest.approx(wanted.mean())
    assert ours.classes_ is None


def test_two_classes_of_one_output_have_names(run):
    built = model((7,), Dense(1))
    built.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    features = rows()[0]
    labels = np.where(features[:, 0] > 0, "warm", "cold")
    ours = run(built).fit(features, labels, epochs=2, batch_size=5)
    assert list(ours.classes_) == ["cold", "warm"]
    wanted = np.where(ours.outputs(features)[0][:, 0] > 0, "warm", "cold")
    np.testing.assert_array_equal(ours.predict(features), wanted)
    assert ours.score(features, labels) == np.mean(wanted == labels)


@pytest.mark.parametrize("arguments", [{"epochs": 0}, {"epochs": 2, "initial_epoch": 2}])
def test_no_epochs_train_nothing(run, arguments):
    built = model((7,), Dense(3, "softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy")
    before, heard = built.get_weights(), []
    listener = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: heard.append(epoch),
        on_train_end=lambda logs: heard.append("end"),
    )
    ours = run(built).fit(*rows(), callbacks=[listener], **arguments)
    assert (ours.history, ours.epoch, ours.iterations, heard) == ({}, [], [], ["end"])
    same(ours.to_keras().get_weights(), before, 0)
    assert built.fit(*rows(), verbose=0, **arguments).history == {}


def test_a_batch_has_a_row(run):
    built = model((7,), Dense(3, "softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(InvalidData, match=r"^batch_size is 0: give a whole number of 1 or more"):
        run(built).fit(*rows(), batch_size=0)


def of_file(built: keras.Model, path: Path) -> keras.Model:
    built.save(path / "trained.h5")
    return keras.models.load_model(path / "trained.h5")


def cloned(built: keras.Model, path: Path) -> keras.Model:
    other = keras.models.clone_model(built)
    other.set_weights(built.get_weights())
    other.compile(built.optimizer, "sparse_categorical_crossentropy")
    return other


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("again", [of_file, cloned])
def test_a_model_with_an_optimizer_of_other_variables_scores_and_is_not_trained(
    run, tmp_path, again
):
    built = small(run_eagerly=True)
    built.fit(*rows(), verbose=0)
    ours = run(again(built, tmp_path))
    np.testing.assert_allclose(
        ours.predict_proba(rows()[0]), built.predict(rows()[0], verbose=0), rtol=1e-9
    )
    same(ours.to_keras().get_weights(), built.get_weights(), 0)
    with pytest.raises(InvalidData, match=r"made for other variables .* compile\(\) the model"):
        ours.fit(*rows(), epochs=1)
    with pytest.raises(ValueError, match="Unknown variable"):
        again(built, tmp_path).fit(*rows(), verbose=0)


@pytest.mark.parametrize("trainable", [True, False])
def test_layers_that_were_frozen_after_compile_are_not_trained_either_way(run, trainable):
    built = model((7,), Dense(5, "tanh", name="first"), Dense(3, "softmax"))
    built.layers[0].trainable = not trainable
    built.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    built.fit(*rows(), verbose=0)
    built.layers[0].trainable = trainable
    ours = run(built)
    assert ours.predict_proba(rows()[0]).shape == (23, 3)
    with pytest.raises(InvalidData, match=r"trainable was changed after compile.* for 'first'"):
        ours.fit(*rows(), epochs=1)
