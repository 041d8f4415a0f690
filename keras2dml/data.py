"""X as users give it, checked, as the matrices that the scripts read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras2dml.errors import InvalidData
from keras2dml.graph import Value


def inputs(data: object, values: Mapping[str, Value]) -> dict[str, np.ndarray]:
    """X for each input of a model by its name: `rows` of the one, or of a list or dict of several.

    Raises InvalidData where one is missing, or has another number of rows than the first.
    """
    if len(values) == 1:
        return {name: rows(data, value) for name, value in values.items()}
    given = [*data.values()] if isinstance(data, Mapping) else data
    if not isinstance(given, (list, tuple)) or len(given) != len(values):
        message = f"The model has {len(values)} inputs: give X as a list with an array for each."
        raise InvalidData(message)
    made = {
        name: rows(one, value, name)
        for (name, value), one in zip(values.items(), given, strict=True)
    }
    counts = {name: len(matrix) for name, matrix in made.items()}
    if len(set(counts.values())) > 1:
        message = f"The inputs have different numbers of rows: {counts}. Give as many of each."
        raise InvalidData(message)
    return made


def rows(data: object, value: Value, name: str = "X") -> np.ndarray:
    """X as a matrix (N, D) in DML's order of columns, float64.

    `data` is (N, *shape) in the model's own layout, or rows (N, D) as SystemML stored them: an
    image in C,H,W order. Raises InvalidData for another width, for what is no number, and for NaN
    or infinity.
    """
    array = numbers(data, name)
    if array.ndim == 2 and array.shape[1] == value.size:
        features = array
    elif array.shape[1:] == value.shape:
        features = value.as_stored(array)
    else:
        own = ", ".join(map(str, value.shape))
        message = (
            f"{name} has shape {array.shape}. The model takes (N, {own}), or rows of {value.size}"
            " elements. Reshape your data."
        )
        raise InvalidData(message)
    broken = ~np.isfinite(features)
    if broken.any():
        first = int(broken.any(axis=1).argmax())
        message = (
            f"{name} has {int(broken.sum())} values that are NaN or infinite, the first in row"
            f" {first}: clean or drop them."
        )
        raise InvalidData(message)
    return features


def numbers(data: object, name: str) -> np.ndarray:
    """An array of float64 numbers, of at least one row, from an array, lists, pandas, or a sparse
    matrix of SciPy; InvalidData for anything else.
    """
    dense = data.toarray() if hasattr(data, "toarray") else data
    try:
        array = np.asarray(dense, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = (
            f"{name} is not an array of numbers ({error}): give numpy arrays or lists of numbers."
        )
        raise InvalidData(message) from error
    if array.ndim == 0 or len(array) == 0:
        message = f"{name} is empty: give at least one row."
        raise InvalidData(message)
    return array
