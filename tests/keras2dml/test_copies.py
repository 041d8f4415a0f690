"""Copies of Keras models: their weights, what of them is trainable, and what they are compiled with
are those of the model.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from oracle import seeded

from keras2dml import UnsupportedModel
from keras2dml.compilation import Compilation
from keras2dml.copies import copied
from keras2dml.trained_copies import keras_model

X = np.random.default_rng(5).normal(size=(6, 3))


class Early(keras.Model):
    """A functional model with its layers as attributes in another order than they are called."""

    def __init__(self, units: int) -> None:
        self.head = layers.Dense(units, name="head")
        self.body = layers.Dense(3, name="body")
        inputs = keras.Input((3,))
        super().__init__(inputs, self.head(self.body(inputs)))


def deep() -> keras.Model:
    inputs = keras.Input((3,))
    hidden = layers.Dense(4, "tanh", name="hidden")(inputs)
    return seeded(keras.Model(inputs, layers.Dense(2, name="last")(hidden)))


def copy_of(model: keras.Model, compilation: Compilation | None = None) -> keras.Model:
    compilation = compilation or Compilation.of(model)
    return keras_model(compilation, compilation.weights())


@pytest.mark.parametrize("units", [3, 2])
@pytest.mark.parametrize("nested", [False, True])
def test_layers_that_are_attributes_first_keep_their_weights(units, nested):
    model = Early(units)
    if nested:
        inputs = keras.Input((3,))
        model = keras.Model(inputs, model(inputs))
    seeded(model)
    copy = copy_of(model)
    np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))
    for mine, keras_own in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, keras_own)


def test_what_is_trained_is_what_keras_trains():
    model = deep()
    model.trainable = False
    model.get_layer("hidden").trainable = True
    assert not Compilation.of(model).graph.trained
    assert not copy_of(model).trainable_weights
    inner = deep()
    inner.trainable = False
    inner.get_layer("hidden").bias.trainable = True
    inputs = keras.Input((3,))
    outer = keras.Model(inputs, inner(inputs))
    compilation = Compilation.of(outer)
    assert len(compilation.graph.trained) == len(outer.trainable_weights) == 1
    assert len(copy_of(outer).trainable_weights) == 1


def test_a_copy_is_as_trainable_as_the_model_was_when_it_was_compiled():
    model = deep()
    model.compile("adam", "mse")
    compilation = Compilation.of(model)
    model.get_layer("hidden").trainable = False
    matrices = {**compilation.weights(), **compilation.state()}
    copy = keras_model(compilation, matrices, steps=3)
    assert len(copy.trainable_weights) == len(copy.optimizer._momentums) == 4


def test_a_layer_that_was_changed_once_it_was_built_is_not_copied():
    model = deep()
    model.get_layer("last").use_bias = False
    with pytest.raises(UnsupportedModel, match="other layers or weights"):
        copied(model)
