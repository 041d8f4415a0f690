"""Weights, outputs and whole models of which Keras knows no gradient; and where training begins."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracle import near, seeded

from keras2dml import Keras2DML, UnsupportedModel
from keras2dml.compilation import Compilation

pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist")
GENERATOR = np.random.default_rng(5)
X, Y = GENERATOR.normal(size=(11, 3)), GENERATOR.normal(size=(11, 1))


class EachBatch(keras.callbacks.Callback):
    """Waits for each batch, so that each is trained by itself."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        assert self.model.built


def dense(**arguments: object) -> layers.Dense:
    return layers.Dense(1, dtype="float64", **arguments)


def stopped() -> keras.Model:
    """A layer that learns nothing but to be small."""
    begin = keras.Input((3,), dtype="float64")
    aside = ops.stop_gradient(dense(kernel_regularizer="l2")(begin))
    return keras.Model(begin, dense()(begin) + aside)


def rounded() -> keras.Model:
    """Two outputs, of which one has no gradient."""
    begin = keras.Input((3,), dtype="float64")
    return keras.Model(begin, [dense()(begin), ops.round(dense()(begin))])


def learn_alike(spark, built: keras.Model, y: object, epochs: int = 1) -> None:
    """Three steps an epoch here and in Keras."""
    ours = Keras2DML(spark, built, batch_size=4, display=0)
    ours.fit(X, y, epochs=epochs, shuffle=False, callbacks=EachBatch() if epochs > 1 else None)
    built.fit(X, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    for weights, theirs in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(weights, theirs, 1e-8)


@pytest.mark.systemds
@pytest.mark.spark
def test_a_penalty_alone_trains_weights(spark):
    built = seeded(stopped())
    # Compiled, TensorFlow's steps of this model vary in the third digit from run to run.
    built.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=True)
    learn_alike(spark, built, Y)


@pytest.mark.systemds
@pytest.mark.spark
def test_one_of_two_outputs_is_learnt_from(spark):
    built = seeded(rounded())
    built.compile("adam", "mse")
    learn_alike(spark, built, [Y, Y])


@pytest.mark.systemds
@pytest.mark.spark
@pytest.mark.parametrize("overwritten", [None, 2])
def test_averages_of_weights_without_a_gradient_are_the_weights(spark, overwritten):
    built = seeded(rounded())
    average = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": overwritten}
    built.compile(keras.optimizers.Adam(0.1, **average), "mse")
    learn_alike(spark, built, [Y, Y], epochs=2)


@pytest.mark.parametrize("operation", [ops.round, ops.floor, ops.stop_gradient, ops.zeros_like])
def test_a_model_of_which_nothing_learns_is_refused(operation):
    begin = keras.Input((3,))
    built = keras.Model(begin, operation(layers.Dense(1)(begin)))
    built.compile("sgd", "mse")
    with pytest.raises(UnsupportedModel, match="No loss has a gradient for any weight"):
        Compilation.of(built).check_trainable()
    built = keras.Model(begin, operation(begin))
    built.compile("sgd", "mse")
    Compilation.of(built).check_trainable()


@pytest.mark.systemds
@pytest.mark.spark
def test_training_begins_from_the_model_as_it_was_at_construction(spark):
    def built() -> keras.Model:
        begin = keras.Input((3,), dtype="float64")
        model = seeded(keras.Model(begin, dense()(begin)))
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=True)
        return model

    model = built()
    ours = Keras2DML(spark, model, batch_size=4, display=0)
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    later = Keras2DML(spark, model, batch_size=4, display=0)
    ours.fit(X, Y, epochs=1, shuffle=False)
    fresh = built()
    fresh.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    model.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    later.fit(X, Y, epochs=1, shuffle=False)
    for estimator, theirs in ((ours, fresh), (later, model)):
        for one, other in zip(
            estimator.to_keras().get_weights(), theirs.get_weights(), strict=True
        ):
            near(one, other, 1e-8)
