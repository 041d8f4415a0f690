"""What Keras makes of X where an input has another type than X: numbers without what is behind the
point, bits, or numbers rounded to float32.
"""

from __future__ import annotations

import numpy as np

from keras2dml.errors import InvalidData
from keras2dml.graph import Scalar, Value, source_of

FLOATS = ("float32", "float64")
_EXACT = 2**53
"""The largest whole number up to which float64 has all."""


def sizes_of(dtype: str) -> dict[str, Scalar]:
    """What an input tells of its type: Keras' types but for float16 and the like, and for texts."""
    if dtype == "bool":
        return {"bits": 1}
    if "int" in dtype:
        limits = np.iinfo(dtype)
        return {"lowest": max(int(limits.min), -_EXACT), "highest": min(int(limits.max), _EXACT)}
    return {"single": 1} if dtype == "float32" else {}


def as_typed(features: np.ndarray, value: Value, name: str) -> np.ndarray:
    """Numbers in float64 as an input takes them; InvalidData where its type does not hold them."""
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
    """InvalidData for so many numbers that the type of an input does not hold."""
    if count:
        sizes = source_of(value).sizes
        message = (
            f"{name} has {count} numbers that the type of the input does not hold: give numbers"
            f" from {sizes['lowest']} to {sizes['highest']}, or the input another dtype."
        )
        raise InvalidData(message)
