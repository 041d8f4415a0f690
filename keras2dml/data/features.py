"""X as users pass it, checked and converted to the matrices that scripts read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras2dml.data.sources import SINGLE_EXAMPLES
from keras2dml.errors import InvalidData
from keras2dml.graph import Graph, Shape, Value
from keras2dml.input_types import as_typed, floatx_of
from keras2dml.structure import Structure

Names = tuple[str, ...]
"""The names of a table's columns."""


def inputs(data: object, graph: Graph, *, drawn: bool = False) -> dict[str, np.ndarray]:
    """X for each input of a model, by its name in scripts: `rows` of a single input, or of a list
    or dict of several; of what is `drawn` from batches, too.

    Raises InvalidData if an input is missing, or has another number of rows than the first.
    """
    arrays = graph.takes.listed(data, "X")
    names = {graph.input_name(value): value for value in graph.inputs}
    if len(names) == 1:
        return {name: rows(arrays[0], value, drawn=drawn) for name, value in names.items()}
    matrices = {
        name: rows(array, value, name, drawn=drawn)
        for (name, value), array in zip(names.items(), arrays, strict=True)
    }
    counts = [len(matrix) for matrix in matrices.values()]
    if len(set(counts)) > 1:
        listed = zip(graph.takes.names, counts, strict=True)
        message = (
            "The inputs have different numbers of rows:"
            f" {', '.join(f'{name} has {count}' for name, count in listed)}. Give every input the"
            " same rows."
        )
        raise InvalidData(message)
    return matrices


def columns(
    X: object, takes: Structure, trained_names: Sequence[Names | None]
) -> list[Names | None]:
    """The names of each input's columns: its `trained_names` if it has the same in any order, else
    its own; None if it is not a pandas table, or its names are not strings or not unique.
    """
    tables = zip(map(_names, takes.listed(X, "X")), trained_names, strict=True)
    return [
        before if before and {*before} == {*(names or ())} else names for names, before in tables
    ]


def in_columns(X: object, takes: Structure, trained_names: Sequence[Names | None]) -> object:
    """X with the columns of its tables in the order of their `trained_names`.

    Raises InvalidData if a table has others.
    """
    tables = zip(takes.listed(X, "X"), trained_names, strict=True)
    return takes.packed([_in_columns(table, names) for table, names in tables])


def _names(table: Any) -> Names | None:
    names = tuple(table.columns) if hasattr(table, "iloc") and hasattr(table, "columns") else ()
    usable = all(isinstance(name, str) for name in names) and len({*names}) == len(names)
    return names if names and usable else None


def _in_columns(table: Any, trained_names: Names | None) -> Any:
    names = _names(table)
    if names is None or trained_names is None or names == trained_names:
        return table
    if {*names} != {*trained_names}:
        message = (
            "X has other columns than when the model was trained:"
            f" {_differences(names, trained_names)}. Give the same"
            f" {len(trained_names)} columns, in any order."
        )
        raise InvalidData(message)
    return table[list(trained_names)]


def _differences(names: Names, trained_names: Names) -> str:
    """The first few columns that are missing, and those that are new, in words."""
    sides = ("missing", {*trained_names} - {*names}), ("new", {*names} - {*trained_names})
    return "; ".join(f"{side} {', '.join(sorted(some)[:5])}" for side, some in sides if some)


def rows(data: object, value: Value, name: str = "X", *, drawn: bool = False) -> np.ndarray:
    """X as a matrix (N, D) in DML's order of columns, float64.

    `data` is (N, *shape) in the model's layout, or rows (N, D) as SystemML stored them: images in
    C,H,W order. As in Keras, a last axis of 1 may be missing or added; but rows of one number are
    (N, 1), as in scikit-learn. Arrays of floats are rounded to floatx, unless they are `drawn` from
    batches. Raises InvalidData for another width, for anything but numbers, for NaN or infinity,
    and for numbers out of range for the input's type.
    """
    array = numbers(data if drawn else in_floatx(data, name, floatx_of(value)), name)
    if array.ndim == 2 and array.shape[1] == value.size:
        features = array
    elif array.shape[1:] == value.shape:
        features = value.as_stored(array)
    elif array.ndim > 1 and _with_one(array.shape[1:], value.shape):
        features = value.as_stored(array.reshape(-1, *value.shape))
    elif drawn and value.shape and _are_joined(array.shape, value.shape):
        raise InvalidData(SINGLE_EXAMPLES)
    else:
        own = ", ".join(map(str, value.shape))
        is_single = array.shape in {value.shape, (value.size,)} or _with_one(
            array.shape, value.shape
        )
        single = ": a single example is X[:1], not X[0]" if is_single else ""
        message = (
            f"{name} has shape {array.shape}. The model takes (N, {own}), or rows of {value.size}"
            f" elements. Reshape your data{single}."
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
    return as_typed(features, value, name)


def _with_one(shape: Shape, other: Shape) -> bool:
    """Whether the shapes differ only by a last axis of 1."""
    return (*shape, 1) == other or shape == (*other, 1)


def _are_joined(shape: Shape, example: Shape) -> bool:
    """Whether an array may have examples joined along their first axis, without one for rows."""
    return shape[1:] == example[1:] and not shape[0] % example[0]


def in_floatx(data: Any, name: str, floatx: str) -> Any:
    """An array, or a table, of floats rounded to `floatx`, as Keras does before anything else; all
    else as it is. Raises InvalidData for rows of different lengths.
    """
    array = unmasked(_dense(data), name)
    is_table = hasattr(data, "iloc") and hasattr(data, "columns")
    kinds = [*data.dtypes] if is_table else [array.dtype]
    floats = (kind for kind in kinds if getattr(kind, "kind", "") == "f")
    is_rounded = array.dtype.kind == "f" and any(kind != floatx for kind in floats)
    return array.astype(floatx) if is_rounded else data


def numbers(data: object, name: str) -> np.ndarray:
    """A float64 array with at least one row, from an array, lists, pandas, or a SciPy sparse
    matrix. Raises InvalidData for anything else, also for strings that are numbers.
    """
    if data is None:
        message = f"{name} is None: give an array with a row for each example."
        raise InvalidData(message)
    values = unmasked(_dense(data), name)
    if kind := _no_numbers(values):
        raise _refused(data, name, f"it has {kind}")
    try:
        array = values.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise _refused(data, name, error) from error
    if array.ndim == 0:
        message = f"{name} is a single number: give an array with a row for each example."
        raise InvalidData(message)
    if len(array) == 0:
        message = f"{name} is empty: give at least one row."
        raise InvalidData(message)
    return array


def _refused(data: Any, name: str, reason: object) -> InvalidData:
    """The error for data that are no numbers, or that are missing."""
    missing = int(np.sum(np.asarray(data.isna()))) if hasattr(data, "isna") else 0
    if missing:
        return InvalidData(
            f"{name} has {missing} values that are missing (NA): clean or drop them."
        )
    return InvalidData(
        f"{name} is not an array of numbers ({reason}): give numpy arrays or lists of numbers."
    )


def _no_numbers(array: np.ndarray) -> str:
    """What an array has that NumPy would convert to numbers, but Keras does not; empty if none."""
    if array.dtype.kind in "mM":
        return "dates or times"
    is_text = array.dtype.kind in "SUT" or (
        array.dtype.kind == "O" and any(isinstance(item, (str, bytes)) for item in array.flat)
    )
    return "strings" if is_text else ""


def _dense(data: Any) -> Any:
    return data.toarray() if hasattr(data, "toarray") else data


def unmasked(data: object, name: str) -> np.ndarray:
    """The data as an array; raises InvalidData for rows of different lengths, and for masked arrays
    and complex numbers, of which a part would be dropped.
    """
    try:
        array = np.asarray(data)
    except ValueError as error:
        message = f"{name} has rows of different lengths: give an array with rows of equal length."
        raise InvalidData(message) from error
    if np.ma.is_masked(data) or array.dtype.kind == "c":
        kind = "complex numbers" if array.dtype.kind == "c" else "numbers that are masked"
        message = f"{name} has {kind}: give real numbers, without missing values."
        if array.dtype.kind == "c":
            message = f"Complex data not supported. {message}"  # scikit-learn's wording
        raise InvalidData(message)
    return array


def some(labels: np.ndarray) -> str:
    """The first few labels, for a message."""
    text = ", ".join(
        f"{label:g}" if labels.dtype.kind in "iuf" else str(label) for label in labels[:5]
    )
    return text + (", ..." if len(labels) > 5 else "")
