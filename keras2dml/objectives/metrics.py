"""Metrics: what a Keras metric counts in each batch, and its value for the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras.src.utils.naming import get_object_name

from keras2dml.graph import Value
from keras2dml.keras_internals import function_of_loss, keywords_of_loss
from keras2dml.objectives import confusion
from keras2dml.objectives.functions import define_function
from keras2dml.objectives.loss_kinds import FUNCTIONS
from keras2dml.objectives.losses import coarse, is_function, logits_of_last, loss_of
from keras2dml.objectives.sums import Metric, mean
from keras2dml.rules import Refusal
from keras2dml.rules.activations import label
from keras2dml.rules.user_classes import overridden

__all__ = ["KNOWN", "Metric", "metric_of"]


def metric_of(
    configured: Any, output: Value, layer: str, kind: str | None, *, weighted: bool
) -> tuple[Metric | None, list[str]]:
    """The Metric for an argument of `model.compile(metrics=...)`, or the complaints about it;
    `kind` is the kind of the loss's targets, if the loss is compiled.
    """
    try:
        resolved = _resolved(configured, output, kind)
    except (TypeError, ValueError):
        return None, [
            f"The metric {configured!r} is not one that Keras can create from its name: give an"
            " object of keras.metrics."
        ]
    name = configured if isinstance(configured, str) else resolved.name
    if reasons := [*coarse(resolved, "metric")]:
        return None, reasons
    is_mean = type(resolved) is keras.metrics.MeanMetricWrapper
    if is_mean and is_function(function_of_loss(resolved)):
        return _of_function(resolved, output, layer, kind, weighted=weighted)
    try:
        _check_class(resolved)
        metric = _compiled(resolved, output, layer)
        _check_targets(metric, kind)
        _check_weights(metric, output, weighted=weighted)
    except Refusal as refusal:
        subject = f"The metric {name!r} ({type(resolved).__name__})"
        return None, [f"{subject} {complaint}" for complaint in refusal.complaints]
    masked = isinstance(resolved, keras.metrics.MeanMetricWrapper)
    return replace(metric, name=name, weighted=weighted, masked=masked), []


def _check_class(metric: Any) -> None:
    """Raise Refusal for a metric that runs code of a user's class."""
    if names := overridden(metric):
        message = (
            f"overrides {', '.join(names)}, which is not compiled. Give a function of keras.ops as"
            " the metric, or Keras' class."
        )
        raise Refusal(message)


def _check_targets(metric: Metric, kind: str | None) -> None:
    """Raise Refusal for a metric with other targets than the loss."""
    if kind == "labels":
        message = (
            "compares targets with predictions, but the loss takes labels that only group examples:"
            " leave the metric out."
        )
        raise Refusal(message)
    if kind is not None and metric.by_number != (kind == "sparse"):
        takes, has = "vectors", "class numbers"
        if metric.by_number:
            takes, has = has, takes
        message = (
            f"takes {takes} as targets, but the loss takes {has}. Keras passes both the same y: use"
            " the other form of the metric ('sparse_' or not), or of the loss."
        )
        raise Refusal(message)


def _check_weights(metric: Metric, output: Value, *, weighted: bool) -> None:
    """Raise Refusal for a weighted metric of numbers, as only vectors have weights."""
    if weighted and metric.elementwise and output.shape[-1] > 1:
        message = (
            "counts each number of an output, but a weight is for a vector of"
            f" {output.shape[-1]}. Move it to the metrics that are not weighted."
        )
        raise Refusal(message)


def _resolved(configured: Any, output: Value, kind: str | None) -> Any:
    """The metric object of a name, a function or an object, as Keras finds it."""
    if str(configured).lower() in ("accuracy", "acc"):
        if output.shape[-1] == 1:
            return keras.metrics.BinaryAccuracy()
        by_number = kind == "sparse"
        metrics = keras.metrics
        return metrics.SparseCategoricalAccuracy() if by_number else metrics.CategoricalAccuracy()
    metric = keras.metrics.get(configured)
    if isinstance(metric, keras.metrics.Metric):
        return metric
    return keras.metrics.MeanMetricWrapper(metric, name=get_object_name(metric))


def _of_function(
    metric: Any, output: Value, layer: str, kind: str | None, *, weighted: bool
) -> tuple[Metric | None, list[str]]:
    """The Metric of a function of Keras operations."""
    subject = f"A metric is {label(function_of_loss(metric))}"
    if kind == "sparse":
        return None, [
            f"{subject}, and the targets are class numbers, which it may get with one axis or two."
            " Train with 'categorical_crossentropy' and a column for each class."
        ]

    def function(targets: Any, predictions: Any) -> Any:
        return function_of_loss(metric)(targets, predictions, **keywords_of_loss(metric))

    logits = logits_of_last(output, layer)
    try:
        dml = define_function(
            function, output, logits, subject, metric.dtype, name=f"metric_{metric.name}"
        )
    except Refusal as refusal:
        return None, list(refusal.complaints)
    if weighted and not dml.by_vector:
        return None, [
            f"{subject}, which does not return a number for each vector of the output, and examples"
            " have weights: move it to the metrics that are not weighted."
        ]
    return Metric(
        dml.name,
        mean,
        name=metric.name,
        weighted=weighted,
        takes=dml.takes,
        by_batch=dml.scalar or dml.whole,
        masked=dml.single,
        literal=True,
    ), []


def _compiled(metric: Any, output: Value, layer: str) -> Metric:
    """The metric without its name. Raises Refusal."""
    function = function_of_loss(metric)
    rule = KNOWN.get(type(metric), NAMED.get(function))
    compiled = rule(metric, output) if rule else _of_loss(metric, output, layer)
    if compiled is None:
        names = ", ".join(sorted(kind.__name__ for kind in KNOWN))
        message = (
            f"is not compiled, or not with these arguments. Only {names}, and the losses, are"
            " compiled: use one of these, or measure in a callback."
        )
        raise Refusal(message)
    return compiled


def _of_loss(metric: Any, output: Value, layer: str) -> Metric | None:
    """The mean of a loss; None for a loss that is not computed row by row."""
    function = function_of_loss(metric)
    if function not in FUNCTIONS:
        return None
    loss, complaints = loss_of(FUNCTIONS[function](**keywords_of_loss(metric)), output, 1.0, layer)
    if loss is None or complaints or loss.kind == "labels":
        return None
    return Metric(loss.function, mean, loss.constants, loss=loss, by_number=loss.kind == "sparse")


Rule = Callable[[Any, Value], Metric | None]


def _categorical(metric: Any, output: Value) -> Metric:
    return Metric("categorical_accuracy", mean)


def _binary(metric: Any, output: Value) -> Metric:
    threshold = float(keywords_of_loss(metric).get("threshold", 0.5))
    return Metric("binary_accuracy", mean, {"threshold": threshold})


def _top_k(metric: Any, output: Value) -> Metric | None:
    if keywords_of_loss(metric).get("from_sorted_ids"):
        return None
    return Metric("top_k_accuracy", mean, {"k": keywords_of_loss(metric).get("k", 5)})


def _by_number(rule: Rule) -> Rule:
    """The same for targets that are class numbers."""

    def sparse(metric: Any, output: Value) -> Metric | None:
        compiled = rule(metric, output)
        return compiled and replace(compiled, by_number=True)

    return sparse


def _root_mean_squared_error(metric: Any, output: Value) -> Metric:
    return Metric("mean_squared_error", lambda sums: float(np.sqrt(mean(sums))))


def _along_last(function: str, value: Callable[[np.ndarray], float] = mean) -> Rule:
    """A function of the vectors along the last axis."""

    def rule(metric: Any, output: Value) -> Metric:
        axis = keywords_of_loss(metric).get("axis", -1)
        if axis not in (-1, len(output.shape)):
            message = f"has axis={axis!r}. Only the last axis is compiled: give axis=-1."
            raise Refusal(message)
        return Metric(function, value)

    return rule


def _accuracy(metric: Any, output: Value) -> Metric:
    return Metric("equal_numbers", mean)


KNOWN: Mapping[type, Rule] = {
    **confusion.KNOWN,
    keras.metrics.Accuracy: _accuracy,
    keras.metrics.BinaryAccuracy: _binary,
    keras.metrics.CategoricalAccuracy: _categorical,
    keras.metrics.ConcordanceCorrelation: _along_last("concordance_correlation"),
    keras.metrics.CosineSimilarity: _along_last("cosine_similarity", lambda sums: -mean(sums)),
    keras.metrics.PearsonCorrelation: _along_last("pearson_correlation"),
    keras.metrics.RootMeanSquaredError: _root_mean_squared_error,
    keras.metrics.SparseCategoricalAccuracy: _by_number(_categorical),
    keras.metrics.SparseTopKCategoricalAccuracy: _by_number(_top_k),
    keras.metrics.TopKCategoricalAccuracy: _top_k,
}
NAMED: Mapping[Any, Rule] = {
    keras.metrics.binary_accuracy: _binary,
    keras.metrics.categorical_accuracy: _categorical,
    keras.metrics.concordance_correlation: _along_last("concordance_correlation"),
    keras.metrics.pearson_correlation: _along_last("pearson_correlation"),
    keras.metrics.sparse_categorical_accuracy: _by_number(_categorical),
    keras.metrics.sparse_top_k_categorical_accuracy: _by_number(_top_k),
    keras.metrics.top_k_categorical_accuracy: _top_k,
}
"""Keras' metric functions, for its MeanMetricWrapper."""
