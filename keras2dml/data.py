"""X and y as users give them, checked, as the matrices that the scripts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keras2dml.errors import InvalidData
from keras2dml.graph import Shape, Value


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
    array = _numbers(data, name)
    if array.ndim == 2 and array.shape[1] == value.size:
        features = array
    elif array.shape[1:] == value.shape:
        features = value.as_stored(array)
    else:
        own = ", ".join(map(str, value.shape))
        message = (
            f"{name} has shape {array.shape}. The model takes (N, {own}), or rows of {value.size}"
            f" elements: reshape {name}."
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


@dataclass(frozen=True)
class Targets:
    """What to learn: `matrix` is (N, 1) class numbers from 1, or (N, K) probabilities; `classes`
    names the classes.
    """

    matrix: np.ndarray
    classes: np.ndarray
    of_classes: bool

    def __getitem__(self, part: slice) -> Targets:
        """The targets of some rows."""
        return replace(self, matrix=self.matrix[part])


def outputs(
    labels: object, values: Sequence[Value], examples: int, known: np.ndarray | None = None
) -> tuple[Targets, ...]:
    """y for each output of a model: `targets` of the one, or of a list or dict of several."""
    if len(values) == 1:
        return (targets(labels, values[0].shape, examples, known),)
    given = [*labels.values()] if isinstance(labels, Mapping) else labels
    if not isinstance(given, (list, tuple)) or len(given) != len(values):
        message = f"The model has {len(values)} outputs: give y as a list with an array for each."
        raise InvalidData(message)
    return tuple(
        targets(one, value.shape, examples) for one, value in zip(given, values, strict=True)
    )


def targets(
    labels: object, shape: Shape, examples: int, known: np.ndarray | None = None
) -> Targets:
    """y (N, ...) of class labels, or (N, ..., K) of probabilities, for a model whose output is
    (..., K) for each of N = `examples`.

    Whole numbers are classes as Keras counts them, 0..K-1; other labels are sorted, as scikit-learn
    does, and there must be K of them, or those `known`. Raises InvalidData for labels out of range
    and for another length.
    """
    array, (*leading, classes) = np.asarray(labels), shape
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1 and classes != 1:
        array = array[..., 0]
    if array.shape[: len(shape)] != (examples, *leading) or array.ndim > len(shape) + 1:
        per = "".join(f", {size}" for size in leading)
        message = (
            f"y has shape {array.shape}, X has {examples} rows: give one label for each row"
            f"{f', ({examples}{per})' if leading else ''}."
        )
        raise InvalidData(message)
    if array.ndim == len(shape) + 1:
        return _probabilities(array, classes)
    if array.dtype.kind in "iufb":
        return _numbered(_numbers(array, "y"), classes)
    names = np.unique(array) if known is None else known
    if len(names) != classes or not np.isin(array, names).all():
        message = (
            f"y has the labels {_some(np.unique(array))}, the model {classes} outputs: give"
            " each output one label."
        )
        raise InvalidData(message)
    places = np.searchsorted(names, array).reshape(examples, -1)
    return Targets(places + 1.0, names, of_classes=True)


def _numbered(array: np.ndarray, classes: int) -> Targets:
    wrong = array[(array != np.floor(array)) | (array < 0) | (array >= classes)]
    if len(wrong):
        message = (
            f"y has labels out of range: {_some(np.unique(wrong))}. A model of {classes}"
            f" outputs takes 0 to {classes - 1}:"
            " number the classes so, or give the model more outputs."
        )
        raise InvalidData(message)
    return Targets(array.reshape(len(array), -1) + 1.0, np.arange(classes), of_classes=True)


def _probabilities(array: np.ndarray, classes: int) -> Targets:
    if array.shape[-1] != classes:
        message = (
            f"y has {array.shape[-1]} columns, the model {classes} outputs: give a column for"
            " each output."
        )
        raise InvalidData(message)
    matrix = _numbers(array, "y")
    if not np.isfinite(matrix).all():
        message = "y has values that are NaN or infinite: clean or drop these rows."
        raise InvalidData(message)
    return Targets(matrix.reshape(len(matrix), -1), np.arange(classes), of_classes=False)


def _numbers(data: object, name: str) -> np.ndarray:
    try:
        array = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = (
            f"{name} is not an array of numbers ({error}): give numpy arrays or lists of numbers."
        )
        raise InvalidData(message) from error
    if array.ndim == 0 or len(array) == 0:
        message = f"{name} is empty: give at least one row."
        raise InvalidData(message)
    return array


def _some(labels: np.ndarray) -> str:
    """The first few labels, for a message."""
    shown = ", ".join(
        f"{label:g}" if labels.dtype.kind in "iuf" else str(label) for label in labels[:5]
    )
    return shown + (", ..." if len(labels) > 5 else "")
