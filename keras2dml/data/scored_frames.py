"""DataFrames with a model's results: scored by executors, or as a matrix of SystemDS."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from keras2dml.data import frames
from keras2dml.data.frames import Columns
from keras2dml.errors import InvalidData
from keras2dml.graph import Value
from keras2dml.rendering.forward import Script
from keras2dml.systemds import executors
from keras2dml.systemds.context import SystemDS
from keras2dml.systemds.executors import Rejected
from keras2dml.systemds.matrices import Matrix


def with_predictions(
    scores: DataFrame, numbered: DataFrame, columns: Columns, classes: np.ndarray | None
) -> DataFrame:
    """The rows with the model's results: a column with the output vector, and one with the
    predicted class, or for a regressor the number.
    """
    results = _results(vector_to_array(F.col("C1")), F.col("C1"), columns, classes)
    return numbered.join(scores.select(frames.INDEX, *results), frames.INDEX).drop(frames.INDEX)


def scored_by_executors(
    systemds: SystemDS,
    script: Script,
    weights: Mapping[str, Matrix],
    frame: DataFrame,
    columns: Columns,
    value: Value,
    size: int,
    classes: np.ndarray | None,
) -> DataFrame | None:
    """The rows with the model's results as from `with_predictions`, in their order, `size` of them
    scored at a time by a script of `keras2dml.scripts.row_batches`; None if an executor cannot.

    Raises InvalidData for features that the model does not take.
    """
    array, order = frames.feature_array(frame, columns.features, value)
    output = executors.unused("OUTPUT", frame)
    rows = frame.select("*", array.alias(executors.unused("FEATURES", frame)))
    batches = executors.Batches(size, value.size, order)
    scored = executors.score(systemds, script, weights, rows, batches, output)
    if isinstance(scored, Rejected):
        _check_rejected(scored, columns.features, value)
        return None
    results = _results(F.col(output), array_to_vector(F.col(output)), columns, classes)
    return scored.select("*", *results).drop(output)


def _check_rejected(rejected: Rejected, column: str, value: Value) -> None:
    """Raise InvalidData if the model does not take some of the features."""
    if rejected.of_other_width:
        message = (
            f"The DataFrame has {rejected.of_other_width} rows without {value.size} features in"
            f" {column!r}: drop them, or give them that many numbers."
        )
        raise InvalidData(message)
    frames.check_numbers(rejected.not_finite, rejected.out_of_range, value)


def _results(
    array: Column, vector: Column, columns: Columns, classes: np.ndarray | None
) -> tuple[Column, Column]:
    """The columns with the class or the number, and with the output vector."""
    if classes is None:
        result: Column = array[0]
    else:
        both = F.array(F.lit(1.0) - array[0], array[0])
        shares = F.when(F.size(array) == 1, both).otherwise(array)
        classes = classes.astype(int) if classes.dtype.kind == "b" else classes
        labels = F.array(*(F.lit(name.item()) for name in classes))
        place = F.call_function("array_position", shares, F.array_max(shares)).cast("int")
        result = F.call_function("element_at", labels, place)
        if classes.dtype.kind in "iu":
            result = result.cast("double")
    return result.alias(columns.prediction), vector.alias(columns.probability)
