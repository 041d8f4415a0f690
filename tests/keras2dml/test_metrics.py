"""Metrics of batches, of epochs and of held rows are those that Keras reports."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import metrics
from keras.layers import Dense
from oracle import complaints, examples, learns, model

from keras2dml import Keras2DML

CLASSES = [
    "accuracy",
    "acc",
    metrics.CategoricalAccuracy(),
    metrics.Precision(),
    metrics.Recall(thresholds=0.3),
    metrics.AUC(),
    metrics.AUC(num_thresholds=30, curve="PR", name="area"),
    metrics.AUC(from_logits=True, summation_method="majoring", name="area_of_logits"),
    metrics.CategoricalCrossentropy(label_smoothing=0.1),
    "poisson",
]
NUMBERS = ["mse", "mae", "mape", "msle", metrics.RootMeanSquaredError(), metrics.LogCoshError()]


@pytest.mark.spark
@pytest.mark.systemds
def test_metrics_of_classes_are_as_keras(spark):
    weights = np.random.default_rng(1).uniform(size=25)
    learns(
        spark,
        model((5,), Dense(4, "softmax")),
        loss="categorical_crossentropy",
        metrics=[made(metric) for metric in CLASSES],
        weighted_metrics=[made(metric, "weighted_") for metric in CLASSES[2:8]],
        sample_weight=weights,
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_metrics_of_class_numbers_are_as_keras(spark):
    counted = ["accuracy", "sparse_categorical_crossentropy"]
    learns(spark, model((3, 5), Dense(4, "softmax")), metrics=counted)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("kind", ["categorical", "sparse_categorical"])
def test_the_best_k_are_as_keras(spark, kind):
    """TensorFlow ranks numbers of float32 only."""
    keras.config.set_floatx("float32")
    counted = [f"{kind.replace('categorical', 'top_k_categorical')}_accuracy"]
    counted += [metrics.TopKCategoricalAccuracy(2, "two")] * (kind == "categorical")
    learns(spark, model((5,), Dense(7, "softmax")), loss=f"{kind}_crossentropy", metrics=counted)


@pytest.mark.spark
@pytest.mark.systemds
def test_metrics_of_numbers_are_as_keras(spark):
    learns(
        spark,
        model((5,), Dense(3)),
        loss="mse",
        metrics=[made(metric) for metric in NUMBERS],
        weighted_metrics=["mae"],
        sample_weight=np.arange(25.0),
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_metrics_of_two_classes_are_as_keras(spark):
    counted = ["accuracy", metrics.BinaryAccuracy(threshold=0.4), "binary_crossentropy", "AUC"]
    learns(spark, model((5,), Dense(1, "sigmoid")), loss="binary_crossentropy", metrics=counted)


@pytest.mark.spark
@pytest.mark.systemds
def test_epochs_and_held_rows_are_measured_as_keras_does(spark):
    """What is counted over batches is not the mean of what they measure."""
    keras.utils.set_random_seed(1)
    features = examples(model((5,), Dense(1)), 40)
    labels = np.random.default_rng(2).integers(0, 2, 40)
    built = model((5,), Dense(1, "sigmoid"))
    built.compile(
        "sgd",
        keras.losses.BinaryCrossentropy(reduction="sum"),
        metrics=["AUC", metrics.Precision(name="precision"), metrics.RootMeanSquaredError()],
    )
    arguments = {"batch_size": 7, "epochs": 2, "shuffle": False, "validation_split": 0.3}
    ours = Keras2DML(spark, built, display=0).fit(features, labels, **arguments)
    theirs = built.fit(features, labels, verbose=0, **arguments)
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)
    assert ours.epoch == theirs.epoch


@pytest.mark.parametrize(
    "metric", [metrics.MeanIoU(2), metrics.Precision(top_k=2), metrics.R2Score()], ids=str
)
def test_other_metrics_are_refused(metric):
    built = model((5,), Dense(3, "softmax"))
    built.compile("sgd", "categorical_crossentropy", metrics=[metric])
    said = complaints(built)
    assert any("is not compiled, or not with these arguments" in one for one in said), said


def made(metric: str | metrics.Metric, prefix: str = "") -> str | metrics.Metric:
    """The metric anew, in float64."""
    if isinstance(metric, str):
        return metric
    config = {**metric.get_config(), "name": prefix + metric.name}
    return type(metric)(**{**config, "dtype": keras.config.floatx()})
