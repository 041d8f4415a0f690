"""X that draws its own batches: tf.data, PyDataset, generators. Keras draws the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import Dense
from oracle import FORWARD, model, near
from small_models import HELD, X, Y, same, small

from keras2dml import InvalidData

pytestmark = [
    pytest.mark.spark,
    pytest.mark.systemds,
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy keyword",
        "ignore:Your input ran out of data",
        "ignore:`shuffle=True` was passed",
        "ignore:.*super..__init__:UserWarning",
    ),
]
WEIGHTS = np.linspace(0.5, 2, 23)


def tensors(*arrays: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays or (X, Y))


class Shares(keras.utils.PyDataset):
    """Batches of rows whose order changes after each epoch, and with it their scale."""

    def __init__(self, arrays: tuple[np.ndarray, ...] = (X, Y), size: int = 5) -> None:
        super().__init__()
        self.arrays, self.size, self.epochs = arrays, size, 0

    @property
    def num_batches(self) -> int | None:
        return -(-len(self.arrays[0]) // self.size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        features, *others = (np.roll(array, self.epochs, axis=0) for array in self.arrays)
        part = slice(number * self.size, (number + 1) * self.size)
        return features[part] * (1 + self.epochs / 8), *(other[part] for other in others)

    def on_epoch_end(self) -> None:
        self.epochs += 1


class Endless(Shares):
    """The same without an end, nor other epochs: Keras draws the next batches ahead."""

    num_batches = None

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        return super().__getitem__(number % 4)

    def on_epoch_end(self) -> None:
        pass


def generator() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of five rows without an end."""
    for number in range(10**6):
        rows = (np.arange(5) * 3 + number) % len(X)
        yield X[rows], Y[rows]


def agree(run: Callable[..., Any], make: Callable[[], Any], **arguments: Any) -> Any:
    """Ours after a training on what `make` makes, whose weights and history are Keras'."""
    built = small(keras.optimizers.Adam(0.05), weighted_metrics=["accuracy"])
    held = arguments.pop("held", lambda: None)
    arguments = {"epochs": 3, "verbose": 0, **arguments}
    keras.utils.set_random_seed(3)
    ours = run(built).fit(make(), validation_data=held(), **arguments)
    keras.utils.set_random_seed(3)
    theirs = built.fit(make(), validation_data=held(), **arguments)
    assert ours.epoch == theirs.epoch
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)
    same(ours.to_keras().get_weights(), built.get_weights())
    return ours


LONG = pytest.mark.long
FITS = {
    "batched": (lambda: tensors().batch(5), {"held": lambda: tensors(*HELD).batch(4)}),
    "own order": (Shares, {"held": lambda: Shares(HELD, 4), "shuffle": False}),
    "endless": (lambda: tensors().repeat().batch(5), {"steps_per_epoch": 3}),
}
MORE_FITS = {
    "reshuffled": (lambda: tensors().shuffle(23, seed=4).batch(5), {}),
    "reshuffled steps": (
        lambda: tensors().repeat().shuffle(9, seed=4).batch(5),
        {"steps_per_epoch": 3, "initial_epoch": 1},
    ),
    "unknown": (lambda: tensors().filter(lambda x, y: y >= 0).batch(5), {}),
    "weighted": (lambda: tensors(X, Y, WEIGHTS).batch(6, drop_remainder=True), {}),
    "by class": (lambda: tensors().batch(5), {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}),
    "one batch": (lambda: tensors().batch(64), {"held": lambda: HELD}),
    "whole epochs": (lambda: tensors().batch(4), {"steps_per_epoch": 3, "epochs": 4}),
    "batches in random order": (lambda: Shares(size=6), {}),
    "batches of other sizes": (
        lambda: tensors().batch(4).concatenate(tensors().batch(9)).concatenate(tensors().batch(2)),
        {"epochs": 2},
    ),
    "repeated batches": (lambda: tensors().batch(5).repeat(2), {"epochs": 1}),
    "endless of numbers": (Endless, {"steps_per_epoch": 3}),
    "generator": (generator, {"steps_per_epoch": 4}),
    "steps": (
        lambda: tensors().batch(5),
        {"held": lambda: tensors().batch(4), "validation_steps": 2, "validation_freq": 2},
    ),
    "sizes": (lambda: tensors().batch(5), {"held": lambda: tensors().repeat(2).batch(4)}),
    "held by a generator": (
        lambda: tensors().batch(5),
        {"held": generator, "validation_steps": 2},
    ),
}


@pytest.mark.parametrize(
    ("make", "arguments"),
    [*FITS.values(), *(pytest.param(*values, marks=LONG) for values in MORE_FITS.values())],
    ids=[*FITS, *MORE_FITS],
)
def test_it_trains_on_the_batches_that_keras_draws(run, make, arguments):
    agree(run, make, **arguments)


def test_predict_evaluate_and_score_are_those_of_the_arrays(run):
    built = small("sgd", metrics=["accuracy"], weighted_metrics=["accuracy"])
    ours = run(built)
    sizes = tensors().batch(4).concatenate(tensors().batch(7))  # 4, ..., 3, 7, ..., 2
    both, twice = np.concatenate([X, X]), np.concatenate([Y, Y])
    near(ours.predict_proba(sizes), built.predict(sizes, verbose=0), FORWARD["float64"])
    np.testing.assert_array_equal(ours.predict(sizes), ours.predict(both))
    near(ours.predict_proba(tensors(X).batch(4)), ours.predict_proba(X), FORWARD["float64"])
    assert ours.score(sizes) == ours.score(both, twice)
    for make, steps in ((lambda: sizes, None), (Shares, 2), (generator, 3)):
        expected = built.evaluate(make(), steps=steps, verbose=0, return_dict=True)
        measured = ours.evaluate(make(), steps=steps, return_dict=True)
        assert measured.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(measured[name], value, rtol=1e-6)


@pytest.mark.long
def test_several_inputs_and_outputs_go_by_their_names(run):
    a, b = keras.Input((7,), name="a"), keras.Input((2,), name="b")
    outputs = {"kind": Dense(3, "softmax", name="kind")(a), "size": Dense(1, name="size")(b)}
    built = keras.Model({"a": a, "b": b}, outputs)
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    built.compile("sgd", losses)
    features, targets = {"a": X, "b": X[:, :2]}, {"kind": Y, "size": X[:, :1]}
    dataset = tf.data.Dataset.from_tensor_slices((features, targets)).batch(5)
    ours = run(built).fit(dataset, epochs=2, validation_data=dataset)
    theirs = built.fit(dataset, epochs=2, validation_data=dataset, verbose=0)
    same(ours.to_keras().get_weights(), built.get_weights())
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)


class Losses(keras.callbacks.Callback):
    """The number and the loss of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, float]] = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, logs["loss"]))


@pytest.mark.long
def test_callbacks_see_the_same_batches_of_other_sizes(run):
    made = []

    def sizes() -> tf.data.Dataset:
        return tensors().batch(4).concatenate(tensors().batch(9))

    built = small(keras.optimizers.Adam(0.05))
    for fit in (run(built).fit, built.fit):
        made.append(Losses())
        fit(sizes(), epochs=2, verbose=0, callbacks=[made[-1]])
    ours, theirs = (np.array(one.seen) for one in made)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.long
def test_layers_outputs_are_written_for_all_batches(run, tmp_path):
    built = model((7,), Dense(3, "softmax", name="out"))
    ours = run(built).set(output_activations=tmp_path)
    near(ours.predict_proba(tensors().batch(5)), built.predict(X, verbose=0), FORWARD["float64"])
    assert np.loadtxt(tmp_path / "out.csv", delimiter=",").shape == (23, 3)


@pytest.mark.long
def test_what_was_trained_before_an_epoch_that_does_not_fit_is_kept(run):
    class Grows(Shares):
        @property
        def num_batches(self) -> int:
            return 4 if self.epochs < 3 else 3

    ours = run(small())
    before = ours.to_keras().get_weights()
    with pytest.raises(InvalidData, match="X has 3 batches in an epoch, of 4: give a dataset"):
        ours.fit(Grows(), epochs=4, shuffle=False)
    assert len(ours.history["loss"]) == 2
    assert any(
        (old != new).any() for old, new in zip(before, ours._matrices.values(), strict=False)
    )


def no_rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield from ()


@pytest.mark.parametrize(
    ("make", "arguments", "match"),
    [
        (lambda: tensors().batch(5), {"y": Y}, r"X yields batches of \(X, y\).* y cannot"),
        (lambda: tensors().batch(5), {"sample_weight": WEIGHTS}, "so sample_weight"),
        (lambda: tensors().batch(5), {"validation_split": 0.5}, "so validation_split"),
        (lambda: tensors().batch(5), {"checkpoint": "folder"}, "so checkpoint cannot"),
        (lambda: tensors().repeat().batch(5), {}, "batches without an end: give steps_per_epoch"),
        (Endless, {}, "batches without an end: give steps_per_epoch"),
        (generator, {}, "X is a generator, which has no length: give steps_per_epoch"),
        (generator, {"steps_per_epoch": 2, "epochs": None}, "steps_per_epoch is given without ep"),
        (lambda: tensors().batch(5), {"steps_per_epoch": 2}, "X has 5 batches, which are no whole"),
        (lambda: tensors().batch(5), {"steps_per_epoch": 9}, "X has 5 batches, which|in an epoch"),
        (lambda: tensors(X).batch(5), {}, "X yields batches without y: let it yield"),
        (lambda: tensors(X), {}, "without y|do not fit|shape"),
        (lambda: tensors(X, np.eye(3)[Y]), {}, "X yields single examples: let it yield batches"),
        (tensors, {}, "X yields single examples: let it yield batches"),
        (
            lambda: (part for part in [(X[:5], Y[:5]), (X[:5, :3], Y[:5])]),
            {"steps_per_epoch": 2},
            "The batches of X do not fit each other .*: give all rows the same",
        ),
        (
            no_rows,
            {"steps_per_epoch": 2},
            "Keras gets no batches from X .*: give one that it accepts",
        ),
        (
            lambda: tensors().batch(5),
            {"validation_data": tensors(*HELD).repeat().batch(5)},
            "^In validation_data: X yields batches without an end: give validation_steps",
        ),
        (
            lambda: tensors().batch(5),
            {"validation_data": generator()},
            "^In validation_data: X is a generator, which has no length: give validation_steps",
        ),
    ],
)
def test_what_cannot_be_trained_so_is_refused(run, make, arguments, match):
    ours = run(model((7,), Dense(3, "softmax")))
    with pytest.raises(InvalidData, match=match):
        ours.fit(make(), **{"epochs": 3, **arguments})
    assert not ours.iterations


def test_endless_data_is_neither_scored_nor_measured(run):
    ours = run(model((7,), Dense(3, "softmax")))
    endless = tensors().repeat().batch(5)
    with pytest.raises(InvalidData, match=r"without an end: give a part of it, as by .take"):
        ours.predict(endless)
    with pytest.raises(InvalidData, match="without an end: give steps"):
        ours.evaluate(endless)
    for method in (ours.predict, ours.predict_proba):
        with pytest.raises(InvalidData, match="X yields single examples: let it yield batches"):
            method(tensors(X))
    ours.set(train_algo="batch")
    with pytest.raises(InvalidData, match="which train_algo='batch' would change"):
        ours.fit(tensors().batch(5), epochs=1)


def test_an_epoch_that_is_too_large_is_refused(run, monkeypatch):
    monkeypatch.setattr("keras2dml.data.datasets.EPOCH_BYTES", 1 << 10)
    ours = run(model((7,), Dense(3, "softmax")))
    with pytest.raises(InvalidData, match="GiB in an epoch, which is held in memory: give steps_p"):
        ours.fit(tensors().batch(5), epochs=1)
