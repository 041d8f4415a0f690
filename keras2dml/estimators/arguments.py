"""Checks the types of an estimator's arguments before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from types import NoneType

import keras
import numpy as np
from pyspark.sql import SparkSession

from keras2dml.errors import InvalidData, InvalidSession

_PATH = (str, PathLike, NoneType)
_TABLE = (Mapping, NoneType)
_OPTIMIZER = (
    "a dict of arguments such as {'learning_rate': 0.01}; choose the optimizer itself in"
    " keras_model.compile()"
)
KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "keras_model": ((keras.Model,), "a Keras model"),
    "weights": (_PATH, "the path of a folder"),
    "labels": (_PATH, "the path of a file"),
    "test_iter": ((Integral,), "a whole number"),
    "test_interval": ((Integral,), "a whole number"),
    "display": ((Integral,), "a whole number"),
    "lr_policy": ((str,), "the name of a policy"),
    "lr_policy_parameters": (_TABLE, "a dict of the policy's numbers"),
    "weight_decay": ((Real,), "a number"),
    "regularization_type": ((str,), "'L1' or 'L2'"),
    "seed": ((Integral,), "a whole number"),
    "optimizer": (_TABLE, _OPTIMIZER),
}


def check_kinds(arguments: Mapping[str, object]) -> None:
    """Raise InvalidSession if `spark` is not a session, and InvalidData for the first argument of a
    wrong type.
    """
    session = arguments["spark"]
    if not isinstance(session, SparkSession):
        message = f"spark is {session!r}: give a SparkSession, as spark_session() makes one."
        raise InvalidSession(message)
    for name, (kinds, remedy) in KINDS.items():
        if not isinstance(arguments[name], kinds):
            message = f"{name} is {arguments[name]!r}: give {remedy}."
            raise InvalidData(message)


def is_shuffled(shuffle: object, default: bool) -> bool:
    """Whether the rows of an epoch are shuffled. Keras' "batch" shuffles only within batches, which
    changes a step only by rounding. Raises InvalidData.
    """
    if shuffle is None:
        return default
    if isinstance(shuffle, (bool, np.bool_)):
        return bool(shuffle)
    if shuffle == "batch":
        return False
    message = f"shuffle is {shuffle!r}: give True, False or 'batch'."
    raise InvalidData(message)
