"""scikit-learn takes the estimator: its own checks, pipelines, searches, cross-validation."""

from __future__ import annotations

import pickle
from copy import deepcopy
from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from keras.layers import Dense
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.metrics import get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

from keras2dml import InvalidData, InvalidSession, Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

# The checks that fit a classifier, with the features and classes of the data that they make.
CHECKS = {
    "check_classifiers_one_label": (3, 2),
    "check_classifiers_train": (2, 2),
    "check_estimator_repr": (2, 2),
    "check_estimator_sparse_array": (3, 4),
    "check_estimator_sparse_matrix": (3, 4),
    "check_estimators_dtypes": (5, 3),
    "check_estimators_fit_returns_self": (2, 3),
    "check_estimators_nan_inf": (3, 2),
    "check_f_contiguous_array_estimator": (3, 3),
    "check_fit1d": (1, 3),
    "check_fit2d_1feature": (1, 3),
    "check_fit2d_1sample": (10, 2),
    "check_fit2d_predict1d": (3, 3),
    "check_fit_score_takes_y": (3, 3),
    "check_methods_sample_order_invariance": (3, 3),
    "check_methods_subset_invariance": (3, 3),
    "check_pipeline_consistency": (3, 2),
    "check_positive_only_tag_during_fit": (4, 3),
    "check_readonly_memmap_input": (2, 3),
    "check_sample_weights_list": (3, 3),
    "check_sample_weights_not_an_array": (2, 3),
    "check_sample_weights_not_overwritten": (2, 3),
    "check_sample_weights_pandas_series": (2, 3),
    "check_sample_weights_shape": (2, 3),
    "check_supervised_y_no_nan": (5, 3),
    "check_valid_tag_types": (2, 2),
}

LEARNING = ("check_classifiers_one_label", "check_classifiers_train")
"""The checks that ask for right answers."""


def built(features: int, classes: int, seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    made = keras.Sequential(
        [keras.Input((features,)), Dense(16, "tanh"), Dense(classes, "softmax")]
    )
    made.compile(keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy")
    return made


@pytest.fixture
def iris() -> tuple[np.ndarray, np.ndarray]:
    return load_iris(return_X_y=True)


@pytest.fixture
def classifier(spark):
    return partial(Keras2DML, spark, batch_size=20, max_iter=60, display=0)


@pytest.mark.parametrize("check", CHECKS)
def test_check_of_scikit_learn_passes(classifier, check):
    steps = 60 if check in LEARNING else 6
    estimator = classifier(built(*CHECKS[check]), max_iter=steps)
    getattr(estimator_checks, check)("Keras2DML", estimator)


def test_pipeline_is_searched_and_cross_validated(classifier, iris):
    features, labels = iris
    scaled = make_pipeline(StandardScaler(), classifier(built(4, 3)))
    assert cross_val_score(scaled, features, labels, cv=3).min() > 0.9
    pairs = (10, 0.0), (50, 1e-4)
    grid = [
        {"keras2dml__batch_size": [size], "keras2dml__weight_decay": [decay]}
        for size, decay in pairs
    ]
    search = GridSearchCV(scaled, grid, cv=2).fit(features, labels)
    assert search.best_score_ > 0.9
    assert search.best_estimator_[-1].batch_size in {10, 50}
    assert search.score(features, labels) > 0.9
    np.testing.assert_array_equal(search.classes_, [0, 1, 2])


def test_clone_begins_with_the_models_weights(classifier, iris):
    ours = classifier(built(4, 3), seed=5).fit(*iris)
    other = clone(ours)
    check_is_fitted(other)
    assert other.get_params() == ours.get_params()
    for found, wanted in zip(
        other.to_keras().get_weights(), ours.keras_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_other_parameters_reset_the_estimator(classifier, iris):
    ours = classifier(built(4, 3)).fit(*iris)
    trained = ours.to_keras().get_weights()
    assert ours.set_params(batch_size=7).batch_size == 7
    np.testing.assert_array_equal(ours.to_keras().get_weights()[0], trained[0])
    ours.set_params(weight_decay=0.1)
    assert not np.array_equal(ours.to_keras().get_weights()[0], trained[0])
    with pytest.raises(InvalidData, match="no parameters rate: give spark, keras_model"):
        ours.set_params(rate=3)


def test_loss_tells_classifiers_from_regressors(classifier):
    model = built(2, 2)
    assert is_classifier(classifier(model))
    model.compile(loss="mse")
    assert is_regressor(classifier(model))


def test_tables_and_sparse_matrices_are_accepted(classifier, iris):
    features, labels = iris
    ours = classifier(built(4, 3), max_iter=10)
    table = pd.DataFrame(features, columns=list("abcd"))
    names = pd.Series(np.array(["setosa", "versicolor", "virginica"])[labels])
    ours.fit(table, names)
    wanted = ours.predict_proba(features)
    np.testing.assert_array_equal(ours.predict_proba(table), wanted)
    np.testing.assert_array_equal(ours.predict_proba(scipy.sparse.csr_matrix(features)), wanted)
    np.testing.assert_array_equal(ours.predict_proba(features.tolist()), wanted)
    assert ours.score(table, names) == np.mean(ours.predict(features) == names)


def of_two(loss: str | keras.losses.Loss, *layers: keras.Layer) -> keras.Model:
    """A model of two classes in one output."""
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((4,)), *(layers or (Dense(1, "sigmoid"),))])
    made.compile(keras.optimizers.Adam(0.05), loss)
    return made


@pytest.mark.parametrize("from_logits", [False, True])
def test_two_classes_have_two_probabilities(classifier, iris, from_logits):
    features, labels = iris[0], iris[1] == 0
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    ours = classifier(of_two(loss, Dense(8, "tanh"), Dense(1, None if from_logits else "sigmoid")))
    ours.fit(features, labels, epochs=20)
    shares = ours.predict_proba(features)
    assert shares.shape == (150, 2)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    output = ours.to_keras().predict(features, verbose=0)[:, 0]
    wanted = 1 / (1 + np.exp(-output)) if from_logits else output
    np.testing.assert_allclose(shares[:, 1], wanted, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(features), (shares[:, 1] > 0.5).astype(int))
    assert roc_auc_score(labels, shares[:, 1]) > 0.7
    scores = get_scorer("roc_auc")(ours, features, labels)
    assert scores == pytest.approx(roc_auc_score(labels, ours.decision_function(features)))


def test_classifiers_of_classifiers_take_it(classifier, iris):
    features, labels = iris
    one = OneVsRestClassifier(classifier(of_two("binary_crossentropy"), epochs=10))
    assert one.fit(features, labels).predict_proba(features).shape == (150, 3)
    calibrated = CalibratedClassifierCV(classifier(of_two("binary_crossentropy"), epochs=5), cv=2)
    assert calibrated.fit(features, labels == 1).predict_proba(features).shape == (150, 2)


def test_logits_of_classes_become_probabilities(classifier, iris):
    made = keras.Sequential([keras.Input((4,)), Dense(3)])
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    shares = classifier(made).predict_proba(iris[0])
    logits = made.predict(iris[0], verbose=0)
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, wanted, rtol=1e-6)


def test_a_number_is_predicted_flat(classifier, iris):
    features = iris[0]
    ours = classifier(of_two("mse", Dense(1)), epochs=2).fit(features, features[:, 0])
    assert ours.predict(features).shape == (150,)
    assert not hasattr(ours, "decision_function")
    residuals = cross_val_predict(clone(ours), features, features[:, 0], cv=2) - features[:, 0]
    assert residuals.shape == (150,)


def test_epochs_and_arguments_of_the_optimizer_are_searched(classifier, iris):
    features, labels = iris
    grid = {"epochs": [1, 10], "optimizer__learning_rate": [1e-5, 0.05]}
    search = GridSearchCV(classifier(built(4, 3)), grid, cv=2).fit(features, labels)
    assert search.best_params_ == {"epochs": 10, "optimizer__learning_rate": 0.05}
    best = search.best_estimator_
    assert len(best.epoch) == 10
    assert best.get_params()["optimizer__learning_rate"] == pytest.approx(0.05)
    assert clone(best).get_params() == best.get_params()
    assert float(best.to_keras().optimizer.learning_rate) == pytest.approx(0.05)
    with pytest.raises(InvalidData, match=r"Adam takes no arguments .*momentum.*: give some of"):
        Keras2DML(classifier.args[0], built(4, 3), optimizer={"momentum": 0.5})


def test_it_shows_what_was_changed(classifier):
    ours = classifier(built(4, 3), epochs=3)
    assert repr(ours) == (
        f"Keras2DML(keras_model=<Sequential {ours.keras_model.name}>, batch_size=20, max_iter=60,"
        " display=0, epochs=3)"
    )
    assert "&lt;Sequential" in ours._repr_html_()


@pytest.mark.parametrize("copy", [pickle.dumps, deepcopy])
def test_it_says_how_it_is_kept(classifier, copy):
    with pytest.raises(InvalidSession, match=r"cannot be copied or pickled: .* with save\(\)"):
        copy(classifier(built(4, 3)))
