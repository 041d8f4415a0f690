"""Casts of X to the type of an input, as Keras does: to integers, to booleans, or to float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from keras2dml.dml import syntax
from keras2dml.errors import InvalidData
from keras2dml.graph import Scalar, Value, source_of

FLOATS = ("float32", "float64")
_EXACT = 2**53
"""The largest integer up to which float64 represents all integers."""
_SPLITTER = 2**29 + 1
"""The factor of Veltkamp's splitting, which leaves the 24 bits of float32."""


def sizes_of(dtype: str) -> dict[str, Scalar]:
    """The parameters of an input's cast, for Keras' types other than float16 and strings."""
    if dtype == "bool":
        return {"bits": 1}
    if "int" in dtype:
        limits = np.iinfo(dtype)
        return {"lowest": max(int(limits.min), -_EXACT), "highest": min(int(limits.max), _EXACT)}
    return {"single": 1} if dtype == "float32" else {}


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


def statements(variable: str, value: Value) -> Iterator[str]:
    """DML statements that cast a matrix as `as_typed` casts an array, without the check."""
    sizes: Mapping[str, Scalar] = source_of(value).sizes
    if "bits" in sizes:
        yield f"{variable} = {variable} != 0"
    elif "lowest" in sizes:
        yield f"{variable} = sign({variable}) * floor(abs({variable}))"
    elif "single" in sizes:
        yield f"split = {variable} * {_SPLITTER}"
        yield f"{variable} = split - (split - {variable})"


def outside(variable: str, value: Value) -> str:
    """A DML expression for the count of numbers out of range for the type of an input."""
    sizes = source_of(value).sizes
    if "lowest" not in sizes:
        return "0"
    limits = (syntax.literal(float(sizes[name])) for name in ("lowest", "highest"))
    return "sum({0} < {1}) + sum({0} > {2})".format(variable, *limits)
