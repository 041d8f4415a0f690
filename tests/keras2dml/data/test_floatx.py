"""Arrays are rounded to Keras' floatx before anything is computed, as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from oracle import near

from keras2dml import Keras2DML, UnsupportedModel
from keras2dml.compilation import Compilation

X = np.random.default_rng(1).normal(size=(9, 3))
Y = np.random.default_rng(2).normal(size=(9, 2))
WEIGHTS = np.random.default_rng(3).random(9)


@pytest.mark.spark
@pytest.mark.systemds
def test_a_model_of_float64_where_floatx_is_float32_is_keras(spark):
    keras.config.set_floatx("float32")
    inputs = keras.Input((3,), dtype="float64")
    built = keras.Model(inputs, keras.layers.Dense(2, "tanh", dtype="float64")(inputs))
    loss = keras.losses.MeanSquaredError(dtype="float64")
    built.compile(keras.optimizers.SGD(0.5), loss, weighted_metrics=["mae"])
    ours = Keras2DML(spark, built, batch_size=3, display=0)
    near(ours.predict_proba(X), built.predict(X, verbose=0), 1e-12)
    assert np.abs(ours.predict_proba(X) - np.asarray(built(X))).max() > 1e-9  # which rounds nothing
    ours.fit(X, Y, epochs=2, shuffle=False, sample_weight=WEIGHTS)
    built.fit(X, Y, 3, 2, shuffle=False, sample_weight=WEIGHTS, verbose=0)
    for weight, expected in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(weight, expected, 1e-12)
    near(
        np.array(ours.evaluate(X, Y, sample_weight=WEIGHTS)),
        np.array(built.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0)),
        1e-6,
    )


@pytest.mark.parametrize("loss", ["mse", keras.losses.Huber, lambda y, p: keras.ops.abs(y - p)])
def test_a_loss_of_float32_trains_no_model_of_float64(loss):
    keras.config.set_floatx("float32")
    inputs = keras.Input((3,), dtype="float64")
    built = keras.Model(inputs, keras.layers.Dense(2, dtype="float64")(inputs))
    built.compile("sgd", loss() if isinstance(loss, type) else loss)
    with pytest.raises(UnsupportedModel, match="computes in float32, and the model in float64"):
        Compilation.of(built).check_trainable()
    Compilation.of(built).check_scorable()
