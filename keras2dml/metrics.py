"""Metrics: what a Keras metric counts in each batch, and the value that it makes of the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras.src.utils.naming import get_object_name

from keras2dml.functions import written
from keras2dml.graph import Scalar, Value
from keras2dml.losses import FUNCTIONS, Loss, is_function, logits_of_last, loss_of
from keras2dml.rules import Refusal
from keras2dml.rules.activations import label


@dataclass(frozen=True, eq=False)
class Metric:
    """A DML function of predictions, targets and constants, and the value that its sums have.

    A function that gives a number for each row has two sums: of these numbers, and of the weights
    of the rows; others give their sums themselves. Of a metric that is a loss, `loss` says what it
    takes.
    """

    function: str
    value: Callable[[np.ndarray], float]
    constants: Mapping[str, Scalar] = field(default_factory=dict)
    sums: int = 2
    loss: Loss | None = None
    name: str = ""
    weighted: bool = False
    """Whether the weights of rows count: one of Keras' `weighted_metrics`."""
    takes: Value | None = None
    """What the function is taken of, where that is neither the output nor what a loss takes."""
    by_batch: bool = False
    """Whether it is one number for a batch, and the mean of those of several."""
    literal: bool = False
    """Whether it sees the targets in the shape in which users give them."""


def metric_of(
    configured: Any, output: Value, layer: str, *, weighted: bool, sparse: bool = False
) -> tuple[Metric | None, list[str]]:
    """The Metric of what `model.compile(metrics=...)` was given, or the complaints about it.

    `sparse` tells that the targets are class numbers.
    """
    metric = _resolved(configured, output)
    name = configured if isinstance(configured, str) else metric.name
    if type(metric) is keras.metrics.MeanMetricWrapper and is_function(metric._fn):
        return _of_function(metric, output, layer, weighted=weighted, sparse=sparse)
    made = _made(metric, output, layer)
    if made is None:
        known = ", ".join(sorted(kind.__name__ for kind in KNOWN))
        return None, [
            f"The metric {name!r} ({type(metric).__name__}) is not compiled, or not with these"
            f" arguments. Compiled are {known}, and the losses: use one of these, or measure in a"
            " callback."
        ]
    return replace(made, name=name, weighted=weighted), []


def _resolved(configured: Any, output: Value) -> Any:
    """The metric object of a name, a function or an object, as Keras finds it."""
    binary = output.shape[-1] == 1
    if str(configured).lower() in ("accuracy", "acc"):
        return keras.metrics.BinaryAccuracy() if binary else keras.metrics.CategoricalAccuracy()
    found = keras.metrics.get(configured)
    if isinstance(found, keras.metrics.Metric):
        return found
    return keras.metrics.MeanMetricWrapper(found, name=get_object_name(found))


def _of_function(
    metric: Any, output: Value, layer: str, *, weighted: bool, sparse: bool
) -> tuple[Metric | None, list[str]]:
    """The Metric of a function that is made of Keras' operations."""
    told = f"A metric is {label(metric._fn)}"
    if sparse:
        return None, [
            f"{told}, and the targets are class numbers, of which it may see one axis or two. Train"
            " with 'categorical_crossentropy' and a column for each class."
        ]

    def function(targets: Any, predictions: Any) -> Any:
        return metric._fn(targets, predictions, **metric._fn_kwargs)

    logits = logits_of_last(output, layer)
    try:
        made = written(function, output, logits, told, metric.dtype, name=f"metric_{metric.name}")
    except Refusal as refusal:
        return None, list(refusal.complaints)
    if weighted and not made.by_vector:
        return None, [
            f"{told}, which gives no number for each vector of the output, and examples have"
            " weights: put it among the metrics without."
        ]
    return Metric(
        made.name,
        _mean,
        name=metric.name,
        weighted=weighted,
        takes=made.takes,
        by_batch=made.scalar,
        literal=True,
    ), []


def _made(metric: Any, output: Value, layer: str) -> Metric | None:
    """The metric without its name; None for one that is not known."""
    function = getattr(metric, "_fn", None)
    made = KNOWN.get(type(metric), NAMED.get(function))
    if made is not None:
        return made(metric)
    if function not in FUNCTIONS:
        return None
    loss, complaints = loss_of(FUNCTIONS[function](**metric._fn_kwargs), output, 1.0, layer)
    if loss is None or complaints:
        return None
    return Metric(loss.function, _mean, loss.constants, loss=loss)


def _mean(sums: np.ndarray) -> float:
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def _share(sums: np.ndarray) -> float:
    return float(sums[0] / sums.sum()) if sums.sum() else 0.0


def _categorical(metric: Any) -> Metric:
    return Metric("categorical_accuracy", _mean)


def _binary(metric: Any) -> Metric:
    threshold = float(metric._fn_kwargs.get("threshold", 0.5))
    return Metric("binary_accuracy", _mean, {"threshold": threshold})


def _top_k(metric: Any) -> Metric | None:
    if metric._fn_kwargs.get("from_sorted_ids"):
        return None
    return Metric("top_k_accuracy", _mean, {"k": metric._fn_kwargs.get("k", 5)})


def _root_mean_squared_error(metric: Any) -> Metric:
    return Metric("mean_squared_error", lambda sums: float(np.sqrt(_mean(sums))))


def _share_of(function: str) -> Callable[[Any], Metric | None]:
    def made(metric: Any) -> Metric | None:
        if metric.top_k is not None or metric.class_id is not None or len(metric.thresholds) > 1:
            return None
        return Metric(function, _share, {"threshold": float(metric.thresholds[0])})

    return made


def _auc(metric: Any) -> Metric | None:
    """The counts by threshold; the area is Keras' own, of a metric with these counts."""
    if metric.multi_label or metric.label_weights is not None or metric._init_from_thresholds:
        return None
    own, number = metric.from_config(metric.get_config()), metric.num_thresholds

    def value(sums: np.ndarray) -> float:
        positive, negative = sums.reshape(2, number)
        found, wrong = (part[::-1].cumsum()[::-1] for part in (positive, negative))
        own.true_positives.assign(found)
        own.false_positives.assign(wrong)
        own.true_negatives.assign(negative.sum() - wrong)
        own.false_negatives.assign(positive.sum() - found)
        return float(own.result())

    constants = {"thresholds": number, "from_logits": bool(metric._from_logits)}
    return Metric("auc_counts", value, constants, 2 * number)


KNOWN: Mapping[type, Callable[[Any], Metric | None]] = {
    keras.metrics.AUC: _auc,
    keras.metrics.BinaryAccuracy: _binary,
    keras.metrics.CategoricalAccuracy: _categorical,
    keras.metrics.Precision: _share_of("precision_counts"),
    keras.metrics.Recall: _share_of("recall_counts"),
    keras.metrics.RootMeanSquaredError: _root_mean_squared_error,
    keras.metrics.SparseCategoricalAccuracy: _categorical,
    keras.metrics.SparseTopKCategoricalAccuracy: _top_k,
    keras.metrics.TopKCategoricalAccuracy: _top_k,
}
NAMED = {
    keras.metrics.binary_accuracy: _binary,
    keras.metrics.categorical_accuracy: _categorical,
    keras.metrics.sparse_categorical_accuracy: _categorical,
    keras.metrics.sparse_top_k_categorical_accuracy: _top_k,
    keras.metrics.top_k_categorical_accuracy: _top_k,
}
"""Keras' metric functions, which its MeanMetricWrapper takes."""
