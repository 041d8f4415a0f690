"""Keras2DML: Keras models compiled to Apache SystemDS, trained and scored on a SparkSession."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from keras2dml.backend import check_backend
from keras2dml.errors import (
    InvalidData,
    InvalidGraph,
    InvalidSession,
    Keras2DMLError,
    NoBackend,
    NotFitted,
    UnsupportedModel,
)

if TYPE_CHECKING:
    from keras2dml.caffe import Caffe2DML
    from keras2dml.dml.syntax import define
    from keras2dml.estimators.keras2dml import Keras2DML
    from keras2dml.estimators.scorer import Scorer
    from keras2dml.rules import lowers
    from keras2dml.spark_ml import Keras2DMLClassifier, Keras2DMLModel, Keras2DMLRegressor
    from keras2dml.systemds.session import spark_session

__version__ = "0.1.0"

__all__ = [
    "Caffe2DML",
    "InvalidData",
    "InvalidGraph",
    "InvalidSession",
    "Keras2DML",
    "Keras2DMLClassifier",
    "Keras2DMLError",
    "Keras2DMLModel",
    "Keras2DMLRegressor",
    "NoBackend",
    "NotFitted",
    "Scorer",
    "UnsupportedModel",
    "define",
    "lowers",
    "spark_session",
]

# Imported lazily: scoring a compiled model needs no Keras, and compiling one needs no Spark.
_HOMES = {
    "Caffe2DML": "keras2dml.caffe",
    "Keras2DML": "keras2dml.estimators.keras2dml",
    "Keras2DMLClassifier": "keras2dml.spark_ml",
    "Keras2DMLModel": "keras2dml.spark_ml",
    "Keras2DMLRegressor": "keras2dml.spark_ml",
    "Scorer": "keras2dml.estimators.scorer",
    "define": "keras2dml.dml.syntax",
    "lowers": "keras2dml.rules",
    "spark_session": "keras2dml.systemds.session",
}
_WITHOUT_KERAS = frozenset(("Scorer", "define", "spark_session"))


def __dir__() -> list[str]:
    """Include lazily imported names, for example for completion in a notebook."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module 'keras2dml' has no attribute {name!r}"
        raise AttributeError(message)
    if name not in _WITHOUT_KERAS:
        check_backend()
    return getattr(import_module(_HOMES[name]), name)
