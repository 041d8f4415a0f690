"""Sample weights, by class or as users pass them, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras2dml import backend
from keras2dml.data.features import numbers
from keras2dml.errors import InvalidData

if TYPE_CHECKING:
    from keras2dml.data.labels import Targets
    from keras2dml.objectives.objective import Goal


def by_class(target: Targets, goal: Goal, class_weight: Mapping[Any, float]) -> np.ndarray:
    """The weight of each example by its class; 1 for a class without a weight. Raises
    InvalidData.
    """
    if not isinstance(class_weight, Mapping):
        message = (
            f"class_weight is {class_weight!r:.80}: give a dict with a weight for each class, such"
            " as {0: 1.0, 1: 2.5}."
        )
        raise InvalidData(message)
    classes = target.classes
    if classes is None or goal.vectors > 1:
        message = "class_weight needs one class per example: give sample_weight instead."
        raise InvalidData(message)
    names = [name.item() if isinstance(name, np.generic) else name for name in classes]
    unknown = set(class_weight) - set(names)
    if unknown:
        message = (
            f"class_weight has the classes {', '.join(sorted(map(repr, unknown)))}, but y has"
            f" {', '.join(map(repr, names[:5]))}{', ...' if len(names) > 5 else ''}: use those as"
            " keys."
        )
        raise InvalidData(message)
    try:
        weights = np.array([float(class_weight.get(name, 1.0)) for name in names])
    except (TypeError, ValueError):
        weights = np.array([np.nan])
    if not np.isfinite(weights).all():
        message = f"class_weight is {dict(class_weight)}: give finite numbers."
        raise InvalidData(message)
    return np.asarray(weights[places(target, goal)], backend.floatx()).astype(np.float64)


def places(target: Targets, goal: Goal) -> np.ndarray:
    """The index of each vector's class, (N, T); of probabilities that of the largest, and of a
    single probability of two classes the one to which Keras rounds, with 0.5 as the first.
    """
    if target.of_classes:
        return np.asarray(target.matrix, int) - 1
    if goal.loss.kind == "binary":
        return np.asarray(np.round(target.matrix) > 0, int)
    vectors = target.matrix.reshape(len(target.matrix), goal.vectors, -1)
    return np.asarray(vectors.argmax(axis=-1))


def of_vectors(weights: object, goal: Goal, examples: int) -> np.ndarray:
    """The weight of each example, or of each of its vectors."""
    array: np.ndarray = numbers(weights, "sample_weight")
    leading = goal.value.shape[:-1]
    allowed = [(examples, *leading)] if leading else [(examples,), (examples, 1)]
    sizes = zip(array.shape[1:], leading, strict=False)
    aligned = array.ndim == 1 + len(leading) and len(array) == examples
    if aligned and array.shape not in allowed and all(size in {1, full} for size, full in sizes):
        _check_spread(array, goal)
        array = np.broadcast_to(array, allowed[0])
    if array.shape not in allowed or not np.isfinite(array).all():
        message = (
            f"sample_weight has shape {array.shape}: give finite numbers of shape"
            f" {(examples, *leading)}, {'one for each vector' if leading else 'one for each row'}."
        )
        raise InvalidData(message)
    if not goal.loss.weighable:
        message = (
            f"The loss {goal.loss.name!r} does not return a single number for each of these"
            " weights: leave sample_weight out."
        )
        raise InvalidData(message)
    return array.reshape(examples, -1)


def _check_spread(array: np.ndarray, goal: Goal) -> None:
    """Raise InvalidData if it matters that a weight is for several vectors of an example."""
    divides = goal.loss.reduction == "mean_with_sample_weight"
    if divides or any(metric.weighted and not metric.masked for metric in goal.metrics):
        message = (
            f"sample_weight has shape {array.shape}, but a weight for several losses counts"
            " differently in the reduction 'mean_with_sample_weight' and in metrics that are not"
            f" means: give {goal.value.shape[:-1]} weights for each example."
        )
        raise InvalidData(message)
