"""Metrics of batches, of epochs and of held rows are those that Keras reports."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import metrics
from keras.layers import Dense
from oracle import complaints, examples, learns, model

from keras2dml import Keras2DML
from keras2dml.compilation import Compilation

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
COUNTS = [
    metrics.Accuracy(),
    metrics.Precision(thresholds=[0.2, 0.3], top_k=2),
    metrics.Recall(class_id=1),
    metrics.TruePositives(thresholds=[0.0, 0.5, 1.0]),
    metrics.FalsePositives(),
    metrics.TrueNegatives(thresholds=0.3),
    metrics.FalseNegatives(thresholds=[0.1, 0.7]),
    metrics.PrecisionAtRecall(0.4),
    metrics.RecallAtPrecision(0.3, num_thresholds=1),
    metrics.SensitivityAtSpecificity(0.3, class_id=2),
    metrics.SpecificityAtSensitivity(0.5, num_thresholds=7),
    metrics.AUC(thresholds=[0.2, 0.3], name="uneven"),
    metrics.F1Score(),
    metrics.F1Score(average="macro", threshold=0.3, name="macro"),
    metrics.FBetaScore(average="micro", beta=2.0),
    metrics.FBetaScore(average="weighted", beta=0.5, name="half"),
    metrics.CosineSimilarity(),
    metrics.PearsonCorrelation(),
    metrics.ConcordanceCorrelation(),
    metrics.OneHotIoU(4, [0, 2]),
    metrics.OneHotMeanIoU(4),
]
NUMBERS = [
    "mse",
    "mae",
    "mape",
    "msle",
    "pearson_correlation",
    metrics.RootMeanSquaredError(),
    metrics.LogCoshError(),
    metrics.R2Score(),
    metrics.R2Score(class_aggregation=None, num_regressors=1, name="of_each"),
    metrics.R2Score("variance_weighted_average", name="by_variance"),
    metrics.CategoricalAccuracy(),
    metrics.TruePositives(thresholds=[0.0, 0.5, 1.0]),
    metrics.MeanIoU(3),
]


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.filterwarnings("ignore:You are passing weight as")
def test_metrics_of_classes_are_as_keras(spark):
    weights = np.random.default_rng(1).uniform(size=25)
    learns(
        spark,
        model((5,), Dense(4, "softmax")),
        loss="categorical_crossentropy",
        metrics=[made(metric) for metric in (*CLASSES, *COUNTS)],
        weighted_metrics=[
            made(metric, "weighted_") for metric in (*CLASSES[2:8], *COUNTS[:-2], COUNTS[-1])
        ],
        sample_weight=weights,
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_metrics_of_class_numbers_are_as_keras(spark):
    counted = [
        "accuracy",
        "sparse_categorical_crossentropy",
        metrics.MeanIoU(4, sparse_y_pred=False),
        metrics.IoU(4, [0, 2], sparse_y_pred=False, ignore_class=1),
    ]
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
    """Of equal numbers the first is the largest; of one row R2Score would be a rounding error."""
    learns(
        spark,
        model((5,), Dense(6, "relu"), Dense(3, "relu")),
        loss="mse",
        rest=4,
        metrics=[made(metric) for metric in NUMBERS],
        weighted_metrics=["mae", metrics.R2Score(dtype="float64", name="weighted_r2")],
        sample_weight=np.arange(28.0),
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_metrics_of_two_classes_are_as_keras(spark):
    counted = ["accuracy", metrics.BinaryAccuracy(threshold=0.4), "binary_crossentropy", "AUC"]
    counted += [metrics.BinaryIoU(threshold=0.4), made(metrics.F1Score(threshold=0.5))]
    learns(
        spark,
        model((5,), Dense(1, "sigmoid")),
        loss="binary_crossentropy",
        metrics=counted,
        weighted_metrics=[metrics.BinaryIoU(dtype="float64", name="weighted_overlap")],
        sample_weight=np.arange(25.0) % 3,
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_epochs_and_validation_rows_are_measured_as_in_keras(spark):
    """What is counted over batches is not the mean of what they measure."""
    keras.utils.set_random_seed(1)
    features = examples(model((5,), Dense(1)), 40)
    labels = np.random.default_rng(2).integers(0, 2, 40)
    built = model((5,), Dense(1, "sigmoid"))
    built.compile(
        "sgd",
        keras.losses.BinaryCrossentropy(reduction="sum"),
        metrics=[
            "AUC",
            metrics.Precision(name="precision"),
            metrics.RootMeanSquaredError(),
            metrics.TruePositives(thresholds=[0.3, 0.6], name="hits"),
            metrics.R2Score(),
            metrics.MeanIoU(2, name="overlap"),
        ],
    )
    arguments = {"batch_size": 7, "epochs": 2, "shuffle": False, "validation_split": 0.3}
    ours = Keras2DML(spark, built, display=0).fit(features, labels, **arguments)
    theirs = built.fit(features, labels, verbose=0, **arguments)
    assert ours.history.keys() == theirs.history.keys()
    del theirs.history["hits"]  # Keras' arrays of training are overwritten by its validation
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)
    assert ours.epoch == theirs.epoch


def test_names_of_metrics_are_those_of_keras_where_they_are_taken():
    """The loss of an output takes the place of a metric of its name, a metric that of the loss."""
    x = keras.Input((5,))
    several = keras.Model(x, [Dense(1, name="a")(x), Dense(1, name="b")(x)])
    again = [[metrics.MeanAbsoluteError(name="loss")], [metrics.MeanAbsoluteError(name="rows")]]
    several.compile("sgd", ["mse", "mse"], metrics=again)
    alone = model((5,), Dense(1))
    alone.compile("sgd", "mse", metrics=again[0])
    objective = Compilation.of(several).objective()  # a metric's sums are two
    sums = np.array([8, 2, 6, 1, 12, 9, 3, 2], float)
    expected = {"loss": 4.0, "a_loss": 1.0, "b_loss": 6.0, "b_rows": 3.0}
    assert objective.measures(sums) == expected
    sums = np.array([8, 3, 1, 2], float)
    assert Compilation.of(alone).objective().measures(sums) == {"loss": 3.0}


class Inverse(metrics.MeanAbsoluteError):
    def result(self):
        return 1 / super().result()


class Named(metrics.MeanAbsoluteError):
    """It is Keras' metric."""

    def __init__(self, name="named"):
        super().__init__(name=name)


REFUSED = [
    (Inverse(), "(Inverse) overrides result, which is not compiled"),
    (metrics.Mean(), "(Mean) is not compiled, or not with these arguments"),
    (metrics.Precision(class_id=7), "class_id=7. The output has 3 columns"),
    (metrics.PearsonCorrelation(axis=0), "has axis=0"),
    (metrics.AUC(multi_label=True, num_labels=3), "has multi_label or label_weights"),
    (metrics.IoU(3, [0], sparse_y_true=False), "has sparse_y_pred=True"),
    ("sparse_categorical_accuracy", "takes class numbers as targets, but the loss takes vectors"),
    ("MeanIoU", "is not one that Keras can create from its name"),
]


def test_other_metrics_are_refused():
    built = model((5,), Dense(3, "softmax"))
    refused = [metric for metric, _ in REFUSED]
    built.compile(
        "sgd",
        "categorical_crossentropy",
        metrics=refused,
        weighted_metrics=[metrics.BinaryIoU(), Named()],
    )
    about = complaints(built)
    expected = [text for _, text in REFUSED]
    expected += ["a weight is for a vector of 3"]
    for complaint, text in zip(about, expected, strict=True):
        assert text in complaint


def test_metrics_of_vectors_are_refused_for_class_numbers():
    """Keras spreads class numbers over the predictions, or stops."""
    built = model((2, 5), Dense(3, "softmax"))
    counted = ["mse", metrics.AUC(), metrics.MeanIoU(3), metrics.F1Score()]
    built.compile("sgd", "sparse_categorical_crossentropy", metrics=counted)
    about = complaints(built)
    assert all(
        "takes vectors as targets, but the loss takes class numbers" in one for one in about[:3]
    )
    assert "(F1Score) takes one vector for each example. The output is (N, 2, 3)" in about[3]


def made(metric: str | metrics.Metric, prefix: str = "") -> str | metrics.Metric:
    """The metric anew, in float64."""
    if isinstance(metric, str):
        return metric
    config = {**metric.get_config(), "name": prefix + metric.name}
    whole = isinstance(metric, metrics.IoU)  # that counts whole numbers
    return type(metric)(**config if whole else {**config, "dtype": keras.config.floatx()})
