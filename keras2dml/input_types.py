"""Casts of X to the type of an input, as Keras does: to integers, to booleans, or to float32, and
of arrays of floats to floatx before.
"""

from __future__ import annotations

import numpy as np

from keras2dml.errors import InvalidData
from keras2dml.graph import Scalar, Value, source_of

_EXACT = 2**53
"""The largest integer up to which float64 represents all integers."""


def sizes_of(dtype: str, floatx: str) -> dict[str, Scalar]:
    """The parameters of an input's cast, for Keras' types other than float16 and strings. Keras
    rounds arrays of floats to `floatx` first, but neither those of integers nor what a dataset
    yields.
    """
    rounded: dict[str, Scalar] = {"rounded": 1} if floatx == "float32" else {}
    if dtype == "bool":
        return {"bits": 1, **rounded}
    if "int" in dtype:
        limits = np.iinfo(dtype)
        lowest, highest = max(int(limits.min), -_EXACT), min(int(limits.max), _EXACT)
        return {"lowest": lowest, "highest": highest, **rounded}
    return {"single": 1} if dtype == "float32" else rounded


def floatx_of(value: Value) -> str:
    """The type to which Keras rounds arrays of floats for an input."""
    return "float32" if "rounded" in source_of(value).sizes else "float64"


def as_typed(features: np.ndarray, value: Value, name: str) -> np.ndarray:
    """Float64 numbers cast to an input's type; raises InvalidData for numbers out of range."""
    sizes = source_of(value).sizes
    if "bits" in sizes:
        bits: np.ndarray = (features != 0).astype(np.float64)
        return bits
    if "single" in sizes:
        rounded: np.ndarray = features.astype(np.float32).astype(np.float64)
        return rounded
    if "lowest" not in sizes:
        return features
    whole: np.ndarray = np.trunc(features)
    check_limits(int(((whole < sizes["lowest"]) | (whole > sizes["highest"])).sum()), value, name)
    return whole


def check_limits(count: int, value: Value, name: str) -> None:
    """Raise InvalidData if `count` numbers are out of range for the type of an input."""
    if count:
        sizes = source_of(value).sizes
        message = (
            f"{name} has {count} numbers out of range for the type of the input: give numbers"
            f" from {sizes['lowest']} to {sizes['highest']}, or give the input another dtype."
        )
        raise InvalidData(message)
