"""scikit-learn takes the estimator: its own checks, pipelines, searches, cross-validation."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from keras.layers import Dense
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

from keras2dml import InvalidData, Keras2DML

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
    getattr(estimator_checks, check)("Keras2DML", classifier(built(*CHECKS[check])))


def test_pipeline_is_searched_and_cross_validated(classifier, iris):
    features, labels = iris
    scaled = make_pipeline(StandardScaler(), classifier(built(4, 3)))
    assert cross_val_score(scaled, features, labels, cv=3).min() > 0.9
    grid = {"keras2dml__batch_size": [10, 50], "keras2dml__weight_decay": [0.0, 1e-4]}
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


def test_other_parameters_begin_anew(classifier, iris):
    ours = classifier(built(4, 3)).fit(*iris)
    trained = ours.to_keras().get_weights()
    assert ours.set_params(batch_size=7).batch_size == 7
    np.testing.assert_array_equal(ours.to_keras().get_weights()[0], trained[0])
    ours.set_params(weight_decay=0.1)
    assert not np.array_equal(ours.to_keras().get_weights()[0], trained[0])
    with pytest.raises(InvalidData, match="no parameters epochs: give spark, keras_model"):
        ours.set_params(epochs=3)


def test_loss_tells_classifiers_from_regressors(classifier):
    model = built(2, 2)
    assert is_classifier(classifier(model))
    model.compile(loss="mse")
    assert is_regressor(classifier(model))


def test_tables_and_sparse_matrices_are_taken(classifier, iris):
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
