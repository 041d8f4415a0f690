"""scikit-learn's own checks of estimators, with the reasons of those that cannot hold."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras.layers import Dense
from pyspark.sql import SparkSession
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

from keras2dml import Keras2DML

pytestmark = [
    pytest.mark.spark,
    pytest.mark.systemds,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),
]

SESSION = "it lives in a Spark session, which cannot be pickled"
NUMBERS = "whole numbers are Keras' numbers of classes, from 0"
WORDS = "the sentence has other words"
KERAS = "Keras takes it"
BATCHES = "rows are trained in batches, to which a row with a weight of 2 belongs once"
BOTH = {
    "check_estimators_pickle": SESSION,
    "check_n_features_in_after_fitting": WORDS,
    "check_all_zero_sample_weights_error": KERAS,
    "check_sample_weight_equivalence_on_dense_data": BATCHES,
    "check_sample_weight_equivalence_on_sparse_data": BATCHES,
    "check_dtype_object": "it is a ValueError, where a TypeError is expected",
    "check_estimators_empty_data_messages": WORDS,
    "check_supervised_y_2d": "labels (N, 1) are as good as (N,), and no warning is due",
}
CLASSES = {
    "check_estimators_dtypes": NUMBERS,
    "check_sample_weights_shape": NUMBERS,
    "check_sample_weights_not_overwritten": NUMBERS,
    "check_sample_weights_pandas_series": NUMBERS,
    "check_sample_weights_not_an_array": NUMBERS,
    "check_classifier_data_not_an_array": NUMBERS,
    "check_classifiers_classes": NUMBERS,
    "check_fit2d_1feature": NUMBERS,
    "check_classifiers_regression_target": WORDS,
}


class Built(BaseEstimator):
    """An estimator that builds a Keras model for the data that it is fitted to."""

    spark: ClassVar[SparkSession]

    def __init__(self, epochs: int = 20, seed: int = 1) -> None:
        self.epochs, self.seed = epochs, seed

    def outputs(self, y: Any) -> tuple[Dense, str]:
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Built:
        keras.utils.set_random_seed(self.seed)
        last, loss = self.outputs(y)
        dense = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        built = keras.Sequential([keras.Input(dense.shape[-1:]), last])
        built.compile(keras.optimizers.Adam(0.1), loss)
        self.model_ = Keras2DML(self.spark, built, epochs=self.epochs, seed=self.seed, display=0)
        self.model_.fit(X, y, sample_weight=sample_weight)
        self.n_features_in_ = self.model_.n_features_in_
        return self

    def predict(self, X: Any) -> Any:
        check_is_fitted(self)
        return self.model_.predict(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Classifier(ClassifierMixin, Built):
    def outputs(self, y: Any) -> tuple[Dense, str]:
        classes = max(len(np.unique(np.asarray(y))), 2)
        return Dense(classes, "softmax"), "sparse_categorical_crossentropy"

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return self.model_.predict_proba(X)

    @property
    def classes_(self) -> Any:
        if not hasattr(self, "model_"):
            raise NotFittedError
        return self.model_.classes_


class Regressor(RegressorMixin, Built):
    def outputs(self, y: Any) -> tuple[Dense, str]:
        return Dense(1), "mse"


@pytest.mark.parametrize(
    ("kind", "failing"), [(Classifier, {**BOTH, **CLASSES}), (Regressor, BOTH)]
)
def test_scikit_learns_checks_hold_but_for_those_with_a_reason(spark, kind, failing):
    Built.spark = spark
    checks = check_estimator(kind(), on_fail=None, on_skip=None)
    failed = {
        check["check_name"]: str(check["exception"])
        for check in checks
        if check["status"] == "failed"
    }
    assert len(checks) > 45
    assert {name: failed[name] for name in failed.keys() - failing} == {}
    assert failing.keys() - failed.keys() == set()
