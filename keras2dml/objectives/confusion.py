"""Metrics of counts: confusion at thresholds, confusion of classes, and overlap.

DML counts the variables of Keras' metric; Keras computes the result from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras2dml.copying.model import metric_like
from keras2dml.graph import Value
from keras2dml.keras_internals import build_metric, has_even_thresholds, reads_logits
from keras2dml.objectives.sums import Measure, Metric
from keras2dml.rules import Refusal

Variables = Mapping[str, np.ndarray]


def _valued(
    metric: Any, variables: Callable[[np.ndarray], Variables]
) -> Callable[[np.ndarray], Measure]:
    """The result of Keras' metric after its variables are set from sums."""

    def value(sums: np.ndarray) -> Measure:
        for name, array in variables(sums).items():
            variable = getattr(metric, name)
            variable.assign(np.asarray(array).reshape(variable.shape).astype(variable.dtype))
        result = np.asarray(metric.result())
        return result if result.ndim else float(result)

    return value


OUTCOMES = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def _of_thresholds(metric: Any, output: Value, *outcomes: str, into: str = "") -> Metric:
    """Counts of these outcomes at each threshold, in variables of the same names or in `into`."""
    keeper, thresholds = metric_like(metric), tuple(map(float, metric.thresholds))
    count = len(thresholds)
    column, best = getattr(metric, "class_id", None), getattr(metric, "top_k", None)
    if column is not None and not 0 <= column < output.shape[-1]:
        message = f"has class_id={column}. The output has {output.shape[-1]} columns, from 0."
        raise Refusal(message)
    constants = {
        "column": 0 if column is None else column + 1,
        "k": best or 0,
        "from_logits": reads_logits(metric),
    }
    if not has_even_thresholds(metric):

        def compared(sums: np.ndarray) -> Variables:
            counts = dict(zip(OUTCOMES, sums.reshape(count, 4).T, strict=True))
            return {into or name: counts[name] for name in outcomes}

        value = _valued(keeper, compared)
        return Metric("confusion_counts", value, {"thresholds": thresholds, **constants}, 4 * count)
    # Keras counts values at the lowest threshold as above it if that is a little below 0.
    lowest = thresholds[0] < 0

    def bucketed(sums: np.ndarray) -> Variables:
        positive, negative = (_above(part, lowest=lowest) for part in sums.reshape(2, count))
        all_positive, all_negative = sums.reshape(2, count).sum(axis=1)
        counts = (positive, negative, all_negative - negative, all_positive - positive)
        by_name = dict(zip(OUTCOMES, counts, strict=True))
        return {into or name: by_name[name] for name in outcomes}

    value = _valued(keeper, bucketed)
    return Metric("bucket_counts", value, {"thresholds": count, **constants}, 2 * count)


def _above(counts: np.ndarray, *, lowest: bool) -> np.ndarray:
    """The counts above each threshold, from the counts in each bucket."""
    totals = counts[::-1].cumsum()[::-1]
    above = np.append(totals[1:], 0.0)
    if lowest:
        above[0] = totals[0]
    return above


def _outcome(name: str) -> Callable[[Any, Value], Metric]:
    return lambda metric, output: _of_thresholds(metric, output, name, into="accumulator")


def _outcomes(*names: str) -> Callable[[Any, Value], Metric]:
    return lambda metric, output: _of_thresholds(metric, output, *names)


def _auc(metric: Any, output: Value) -> Metric:
    if metric.multi_label or metric.label_weights is not None:
        message = "has multi_label or label_weights. It is only compiled without: leave them out."
        raise Refusal(message)
    return _of_thresholds(metric, output, *OUTCOMES)


def _f_score(metric: Any, output: Value) -> Metric:
    """The F-score of each class; with average="micro" Keras' variables are single numbers."""
    keeper, classes = metric_like(metric), _columns(output)
    build_metric(keeper, classes)
    names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")

    def variables(sums: np.ndarray) -> Variables:
        counts = sums.reshape(4, classes)
        totals = counts.sum(axis=1) if metric.average == "micro" else counts
        return dict(zip(names, totals, strict=True))

    threshold = -1.0 if metric.threshold is None else metric.threshold
    value = _valued(keeper, variables)
    return Metric("f_score_counts", value, {"threshold": threshold}, 4 * classes)


def _r2_score(metric: Any, output: Value) -> Metric:
    keeper, outputs = metric_like(metric), _columns(output)
    build_metric(keeper, outputs)

    def variables(sums: np.ndarray) -> Variables:
        totals, squares, errors = sums[:-2].reshape(3, outputs)
        return {
            "sum": totals,
            "squared_sum": squares,
            "total_mse": errors,
            "count": np.full(outputs, sums[-2]),
            "num_samples": sums[-1],
        }

    return Metric("r2_counts", _valued(keeper, variables), {}, 3 * outputs + 2)


def _columns(output: Value) -> int:
    """The size of an output with one vector for each example; raises Refusal for others."""
    if len(output.shape) != 1:
        shape = ", ".join(map(str, output.shape))
        message = f"takes one vector for each example. The output is (N, {shape}): flatten it."
        raise Refusal(message)
    return output.shape[0]


def _overlap(metric: Any, output: Value) -> Metric:
    """Targets and predictions are class numbers, or the largest elements of vectors."""
    if metric.axis not in (-1, len(output.shape)):
        message = f"has axis={metric.axis!r}. Only the last axis is compiled: give axis=-1."
        raise Refusal(message)
    if metric.sparse_y_pred and not metric.sparse_y_true and output.shape[-1] > 1:
        message = (
            "has sparse_y_pred=True and targets that are vectors. Predictions are vectors too:"
            " give sparse_y_pred=False."
        )
        raise Refusal(message)
    classes, ignored = metric.num_classes, metric.ignore_class
    constants = {
        "classes": classes,
        "ignored": -1 if ignored is None else ignored,
        "of_vectors": not metric.sparse_y_pred,
        "whole": "int" in str(metric.dtype),
    }
    by_number = bool(metric.sparse_y_true and not metric.sparse_y_pred)
    value = _valued(metric_like(metric), lambda sums: {"total_cm": sums})
    return Metric(
        "overlap_counts",
        value,
        constants,
        classes**2,
        by_number=by_number,
        elementwise=metric.sparse_y_pred,
    )


def _binary_overlap(metric: Any, output: Value) -> Metric:
    constants = {"threshold": float(metric.threshold), "whole": "int" in str(metric.dtype)}
    value = _valued(metric_like(metric), lambda sums: {"total_cm": sums})
    return Metric("binary_overlap_counts", value, constants, 4, elementwise=True)


KNOWN: Mapping[type, Callable[[Any, Value], Metric]] = {
    keras.metrics.AUC: _auc,
    keras.metrics.BinaryIoU: _binary_overlap,
    keras.metrics.F1Score: _f_score,
    keras.metrics.FBetaScore: _f_score,
    keras.metrics.FalseNegatives: _outcome("false_negatives"),
    keras.metrics.FalsePositives: _outcome("false_positives"),
    keras.metrics.IoU: _overlap,
    keras.metrics.MeanIoU: _overlap,
    keras.metrics.OneHotIoU: _overlap,
    keras.metrics.OneHotMeanIoU: _overlap,
    keras.metrics.Precision: _outcomes("true_positives", "false_positives"),
    keras.metrics.PrecisionAtRecall: _outcomes(*OUTCOMES),
    keras.metrics.R2Score: _r2_score,
    keras.metrics.Recall: _outcomes("true_positives", "false_negatives"),
    keras.metrics.RecallAtPrecision: _outcomes(*OUTCOMES),
    keras.metrics.SensitivityAtSpecificity: _outcomes(*OUTCOMES),
    keras.metrics.SpecificityAtSensitivity: _outcomes(*OUTCOMES),
    keras.metrics.TrueNegatives: _outcome("true_negatives"),
    keras.metrics.TruePositives: _outcome("true_positives"),
}
