"""A small model, trained by ours and by Keras with callbacks of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import keras
import numpy as np
from keras import callbacks as kc
from keras.layers import BatchNormalization, Dense
from oracle import examples, model

from keras2dml import Keras2DML

FIT = {"batch_size": 5, "shuffle": False}
X, Y = np.random.default_rng(2).normal(size=(23, 7)), np.arange(23) % 3
HELD = X[:9] + 0.1, Y[:9]
FEW = X[:10], Y[:10]


def small(optimizer: object = "adam", **compiled: object) -> keras.Model:
    built = model((7,), Dense(5, "tanh"), BatchNormalization(), Dense(3, "softmax"))
    how = {"run_eagerly": True, **compiled}
    built.compile(optimizer, "sparse_categorical_crossentropy", **how)
    return built


def traced() -> keras.Model:
    """A small model that Keras trains as a graph, made once for all tests: here as it began."""
    built, begin = _traced()
    for variable, value in zip(_variables(built), begin, strict=True):
        variable.assign(value)
    return built


@cache
def _traced() -> tuple[keras.Model, list[np.ndarray]]:
    built = small(keras.optimizers.Adam(0.05), metrics=["accuracy"], run_eagerly=False)
    built.optimizer.build(built.trainable_variables)
    return built, [np.array(variable) for variable in _variables(built)]


def _variables(built: keras.Model) -> list[keras.Variable]:
    return [*built.weights, *built.optimizer.variables]


def rows(count: int = 23) -> tuple[np.ndarray, np.ndarray]:
    return examples(small(), count), np.arange(count) % 3


def same(found: list[np.ndarray], wanted: list[np.ndarray], distance: float = 1e-8) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=distance, atol=distance)


def both(
    run: Callable[..., Keras2DML],
    make: Callable[[str], list[kc.Callback]],
    built: keras.Model | None = None,
    **arguments: object,
) -> tuple[Keras2DML, keras.Model]:
    """Ours and theirs after the same training with callbacks of the same kind, by default of the
    `traced` model.
    """
    built = built or traced()
    arguments = {"epochs": 2, "validation_data": HELD, "verbose": 0, **FIT, **arguments}
    ours = run(built).fit(X, Y, callbacks=make("ours"), **arguments)
    theirs = built.fit(X, Y, callbacks=make("theirs"), **arguments)
    assert ours.epoch == theirs.epoch
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)
    same(ours.to_keras().get_weights(), built.get_weights())
    return ours, built
