"""Arrays are rounded to Keras' floatx before anything is computed, as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras.src.trainers.data_adapters import data_adapter_utils
from oracle import complaints, near

from keras2dml import Keras2DML, UnsupportedModel
from keras2dml.compilation import Compilation
from keras2dml.data import features
from keras2dml.reader import read
from keras2dml.training.examples import examples

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
    drawn = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).batch(3)  # which is not rounded
    ours.fit(drawn, epochs=2, shuffle=False, verbose=0)
    built.fit(drawn, epochs=2, shuffle=False, verbose=0)
    near(ours.predict_proba(drawn), built.predict(drawn, verbose=0), 1e-12)
    for weight, expected in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(weight, expected, 1e-12)
    near(
        np.array(ours.evaluate(X, Y, sample_weight=WEIGHTS)),
        np.array(built.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0)),
        1e-6,
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "bool"])
@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_an_input_takes_what_keras_takes(dtype, floatx):
    keras.config.set_floatx(floatx)
    inputs = keras.Input((3,), dtype=dtype)
    built = keras.Model(inputs, keras.ops.cast(inputs, "float64"))
    graph = read(built)
    integers = np.full((9, 3), 2**24 + 1)
    mixed = pd.DataFrame({"a": X[:, 0].astype("float32"), "b": integers[:, 0]})
    tables = pd.DataFrame(X), mixed.assign(c=integers[:, 0]), mixed.assign(c=X[:, 2])
    arrays = X, X.astype("float16"), integers, 1.0 * integers, X * 1e-60, X > 0, 0 * X + 1 - 1e-12
    for array in (*arrays, *tables):
        (ours,) = features.inputs(array, graph).values()
        np.testing.assert_array_equal(ours, built.predict(array, verbose=0))
        if isinstance(array, np.ndarray):
            (ours,) = features.inputs(array, graph, drawn=True).values()
            drawn = tf.data.Dataset.from_tensors(array)
            np.testing.assert_array_equal(ours, built.predict(drawn, verbose=0))


def test_class_weights_are_those_of_labels_that_are_not_rounded_yet():
    keras.config.set_floatx("float32")
    inputs = keras.Input((3,))
    built = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(inputs))
    built.compile("sgd", "binary_crossentropy")
    labels, weights = np.where(WEIGHTS > 0.5, 0.5 + 1e-9, 0.5 - 1e-9), {0: 0.1, 1: 0.7}
    (target,) = examples(Compilation.of(built), X, labels, class_weight=weights).targets
    expected = data_adapter_utils.class_weight_to_sample_weights(labels, weights)
    np.testing.assert_array_equal(target.weights[:, 0], expected)


@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16"])
def test_losses_and_metrics_of_half_precision_are_refused(dtype):
    inputs = keras.Input((3,))
    built = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    loss, metric = keras.losses.Huber(dtype=dtype), keras.metrics.MeanSquaredError(dtype=dtype)
    for loss_or_metric in ({"loss": loss}, {"loss": "mse", "metrics": [metric]}):
        built.compile("sgd", **loss_or_metric)
        (complaint,) = complaints(built)
        assert f"has dtype='{dtype.removeprefix('mixed_')}'" in complaint


@pytest.mark.parametrize("loss", ["mse", keras.losses.Huber, lambda y, p: keras.ops.abs(y - p)])
def test_a_loss_of_float32_trains_no_model_of_float64(loss):
    keras.config.set_floatx("float32")
    inputs = keras.Input((3,), dtype="float64")
    built = keras.Model(inputs, keras.layers.Dense(2, dtype="float64")(inputs))
    built.compile("sgd", loss() if isinstance(loss, type) else loss)
    with pytest.raises(UnsupportedModel, match="computes in float32, and the model in float64"):
        Compilation.of(built).check_trainable()
    Compilation.of(built).check_scorable()
