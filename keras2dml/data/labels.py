"""y and sample weights as users pass them, checked and converted to matrices for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras2dml import backend
from keras2dml.data.example_weights import by_class, of_vectors
from keras2dml.data.features import in_floatx, numbers, some, unmasked
from keras2dml.errors import InvalidData

if TYPE_CHECKING:
    from keras2dml.objectives.objective import Goal
    from keras2dml.structure import Structure

Classes = Sequence[np.ndarray | None]
"""The class labels of each output; None for an output without classes."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of an output: class numbers from 1, (N, T), or numbers (N, T * K).

    `classes` has the names of the classes, if any, and `weights` are (N, T). Both matrices are
    arrays, or Rows of a DataFrame.
    """

    matrix: Any
    classes: np.ndarray | None
    of_classes: bool
    weights: Any = None

    def __getitem__(self, part: Any) -> Targets:
        """The targets of some rows."""
        weights = None if self.weights is None else self.weights[part]
        return replace(self, matrix=self.matrix[part], weights=weights)

    @property
    def weighted(self) -> bool:
        """Whether they have weights."""
        return self.weights is not None


def of_outputs(
    labels: object,
    outputs: Structure,
    goals: Sequence[Goal],
    examples: int,
    classes: Classes | None = None,
    sample_weight: object = None,
    class_weight: Mapping[Any, float] | None = None,
    *,
    drawn: bool = False,
) -> tuple[Targets, ...]:
    """The targets of each output of a model, from y for a single output, or a list or dict for
    several; `classes` are fixed classes of each output. What is `drawn` is not rounded to floatx.

    Raises InvalidData for labels out of range, another length, and weights that do not fit.
    """
    floatx = "float64" if drawn else backend.floatx()
    listed, names = outputs.listed(labels, "y"), classes or [None] * len(goals)
    rounded = [in_floatx(part, "y", floatx) for part in listed]
    parts = zip(rounded, goals, [examples] * len(goals), names, strict=True)
    all_targets = [targets(*part) for part in parts]
    if class_weight is not None:
        if sample_weight is not None or len(goals) > 1:
            message = (
                "class_weight is given together with sample_weight, or for several outputs: give"
                " only sample_weight, with a weight for each example."
            )
            raise InvalidData(message)
        unrounded = targets(listed[0], goals[0], examples, names[0])
        return (replace(all_targets[0], weights=by_class(unrounded, goals[0], class_weight)),)
    if sample_weight is None:
        return tuple(all_targets)
    weights: Sequence[Any] = [sample_weight] * len(goals)
    if isinstance(sample_weight, (Mapping, list, tuple)):
        weights = outputs.listed(sample_weight, "sample_weight")
    name = "sample_weight"
    weights = [None if part is None else in_floatx(part, name, floatx) for part in weights]
    return tuple(
        target if part is None else replace(target, weights=of_vectors(part, goal, examples))
        for target, part, goal in zip(all_targets, weights, goals, strict=True)
    )


def targets(
    labels: object, goal: Goal, examples: int, classes: np.ndarray | None = None
) -> Targets:
    """The targets of an output of shape (..., K) for N = `examples`: numbers (N, ..., K), or for a
    loss of classes labels (N, ...).

    Integers are classes numbered as in Keras, 0..K-1; other labels are sorted, as in scikit-learn,
    and there must be K of them, or `classes` names them; a single output is enough for two classes.
    """
    shape, kind = goal.value.shape, goal.loss.kind
    if kind == "labels":
        return Targets(_whole(labels, examples), None, of_classes=False)
    if kind == "numbers" or (kind == "binary" and shape[-1] > 1):
        return Targets(_like(_finite(labels), goal, examples), None, of_classes=False)
    array = unmasked(labels, "y")
    if goal.literal and kind == "binary":
        _like(array, goal, examples)
    if (
        array.ndim == len(shape) + 1
        and array.shape[-1] == 1
        and (shape[-1] != 1 or kind == "binary")
    ):
        array = array[..., 0]
    if array.shape[: len(shape)] != (examples, *shape[:-1]) or array.ndim > len(shape) + 1:
        per = "".join(f", {size}" for size in shape[:-1])
        message = (
            f"y has shape {array.shape}, X has {examples} rows: give one label for each row"
            f"{f', ({examples}{per})' if per else ''}."
        )
        raise InvalidData(message)
    if kind == "binary":
        return _binary(array, classes)
    if array.ndim == len(shape) + 1:
        return _probabilities(array, shape[-1], sparse=kind == "sparse")
    if array.dtype.kind in "iufb":
        numbered = _numbered(numbers(array, "y"), shape[-1])
        truths = array.dtype.kind == "b" and shape[-1] == 2
        return replace(numbered, classes=np.array([False, True])) if truths else numbered
    names = _names(array, shape[-1], classes)
    places = _places(array, names).reshape(examples, -1)
    return Targets(places + 1.0, names, of_classes=True)


def read_labels(file: Path | str, goals: Sequence[Goal]) -> Classes:
    """The class labels of a model with a single output, from a file with lines `number,label`, from
    1.

    Raises InvalidData for a file that cannot be read or does not number all classes, and for
    several outputs.
    """
    if len(goals) > 1:
        message = f"labels are for a single output, the model has {len(goals)}: leave them out."
        raise InvalidData(message)
    classes = goals[0].value.shape[-1]
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        parts = (line.partition(",") for line in lines)
        numbered = {int(number): label.strip() for number, _, label in parts}
    except (OSError, ValueError) as error:
        message = f"The labels in {file} cannot be read ({error}): write 'number,label' lines."
        raise InvalidData(message) from error
    if sorted(numbered) != list(range(1, classes + 1)):
        message = (
            f"{file} has {len(numbered)} labels, but the model has {classes} classes: number all of"
            f" them from 1 to {classes}."
        )
        raise InvalidData(message)
    return [np.array([numbered[number] for number in range(1, classes + 1)])]


def classes_of(goal: Goal) -> np.ndarray | None:
    """The classes of an output before training, if it has classes."""
    size = goal.value.shape[-1]
    if goal.loss.kind in ("sparse", "classes"):
        return np.arange(size)
    return np.arange(2) if goal.loss.kind == "binary" and size == 1 else None


def _binary(array: np.ndarray, class_names: np.ndarray | None) -> Targets:
    """The targets of a single output: two classes, or numbers."""
    if array.dtype.kind in "iufb":
        matrix = _finite(array).reshape(len(array), -1)
        signed = bool((matrix == -1).any()) or -1 in _numbers_among(class_names)
        fits = np.isin(matrix, (-1, 1)) if signed else (matrix >= 0) & (matrix <= 1)
        if not fits.all():
            message = (
                f"y has the labels {some(np.unique(array))}. A loss for two classes with a single"
                " output takes numbers from 0 to 1, or -1 and 1: number the classes like this, or"
                " use words."
            )
            raise InvalidData(message)
        classes = np.array([-1, 1]) if signed else np.arange(2)
        truths = array.dtype.kind == "b"
        return Targets(matrix, classes.astype(bool) if truths else classes, of_classes=False)
    names = _names(array, 2, class_names)
    places = _places(array, names).reshape(len(array), -1)
    return Targets(places.astype(np.float64), names, of_classes=False)


def _numbers_among(class_names: np.ndarray | None) -> list[Any]:
    return (
        [] if class_names is None or class_names.dtype.kind not in "iuf" else class_names.tolist()
    )


def _places(array: np.ndarray, names: np.ndarray) -> np.ndarray:
    """The index of each label among the names."""
    order = np.argsort(names)
    return np.asarray(order[np.searchsorted(names, array, sorter=order)])


def _names(array: np.ndarray, classes: int, class_names: np.ndarray | None) -> np.ndarray:
    _check_alike(array)
    names = np.unique(array) if class_names is None else class_names
    if len(names) != classes or not np.isin(array, names).all():
        message = (
            f"y has the labels {some(np.unique(array))}, but the model has {classes} outputs: give"
            f" it rows with {classes} different labels."
        )
        raise InvalidData(message)
    return names


def _check_alike(array: np.ndarray) -> None:
    """Raise InvalidData if labels are missing, or have no common order."""
    if array.dtype.kind not in "OMm":
        return
    kinds = {*map(type, array.ravel().tolist())}
    texts, figures = (all(issubclass(kind, base) for kind in kinds) for base in (str, Real))
    try:
        alike = (texts or figures or len(kinds) == 1) and bool((array == array).all())  # noqa: PLR0124
        alike = alike and type(None) not in kinds
    except TypeError:  # pandas' NA, which is neither equal nor not
        alike = False
    if not alike:
        named = ", ".join(sorted(kind.__name__ for kind in kinds))
        message = (
            f"y has labels of the types {named}, or some are missing: give each row a label, either"
            " all words or all numbers."
        )
        raise InvalidData(message)


def _numbered(array: np.ndarray, classes: int) -> Targets:
    wrong = array[(array != np.floor(array)) | (array < 0) | (array >= classes)]
    if len(wrong):
        message = (
            f"y has labels out of range: {some(np.unique(wrong))}. A model with {classes}"
            f" outputs takes 0 to {classes - 1}:"
            " number the classes like this, or give the model more outputs."
        )
        raise InvalidData(message)
    return Targets(array.reshape(len(array), -1) + 1.0, np.arange(classes), of_classes=True)


def _probabilities(array: np.ndarray, classes: int, *, sparse: bool) -> Targets:
    if array.shape[-1] != classes:
        message = (
            f"y has {array.shape[-1]} columns, but the model has {classes} outputs: give a column"
            " for each output."
        )
        raise InvalidData(message)
    if sparse:
        message = (
            "y has a column for each class, but the loss is sparse: give class numbers, or"
            " use 'categorical_crossentropy'."
        )
        raise InvalidData(message)
    matrix = _finite(array)
    return Targets(matrix.reshape(len(matrix), -1), np.arange(classes), of_classes=False)


def _like(array: np.ndarray, goal: Goal, examples: int) -> np.ndarray:
    """Numbers for all elements of an output; a last axis of 1 may be missing, unless a user's
    function gets the targets.
    """
    shape = goal.value.shape
    exact = goal.literal or shape[-1] != 1
    allowed = [(examples, *shape), *([] if exact else [(examples, *shape[:-1])])]
    if array.shape not in allowed:
        message = (
            f"y has shape {array.shape}, but the model's output has {(examples, *shape)}: give a"
            " number for each of its elements."
        )
        raise InvalidData(message)
    return array.reshape(examples, math.prod(shape))


def _whole(labels: object, examples: int) -> np.ndarray:
    """An integer for each example, (N, 1)."""
    array = _finite(labels)
    if array.size != examples or len(array) != examples or (array != np.floor(array)).any():
        message = (
            f"y has shape {array.shape}, X has {examples} rows: give one whole number for each row,"
            " the same for rows that belong together."
        )
        raise InvalidData(message)
    return array.reshape(examples, 1)


def _finite(data: object) -> np.ndarray:
    array = numbers(data, "y")
    if not np.isfinite(array).all():
        message = "y has values that are NaN or infinite: clean or drop these rows."
        raise InvalidData(message)
    return array
