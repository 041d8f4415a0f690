"""DataFrames with a model's results: scored where their rows are, or as a matrix of SystemDS."""

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
from keras2dml.systemds.matrices import Matrix


def with_predictions(
    scores: DataFrame, numbered: DataFrame, columns: Columns, classes: np.ndarray | None
) -> DataFrame:
    """The rows with the model's results: a column with the output vector, and one with the
    predicted class, or for a regressor the number.
    """
    results = _results(vector_to_array(F.col("C1")), F.col("C1"), columns, classes)
    return numbered.join(scores.select(frames.INDEX, *results), frames.INDEX).drop(frames.INDEX)


def where_they_are(
    systemds: SystemDS,
    script: Script,
    weights: Mapping[str, Matrix],
    frame: DataFrame,
    columns: Columns,
    value: Value,
    classes: np.ndarray | None,
) -> DataFrame:
    """The rows with the model's results as from `with_predictions`, in their order; the `script` is
    one for executors.

    Raises InvalidData for features that the model does not take.
    """
    array, order = frames.listed(frame, columns.features, value)
    rows = frame.select("*", array.alias("__FEATURES"))
    scored, refused = executors.score(systemds, script, weights, rows, value.size, order)
    if refused.uneven:
        message = (
            f"The DataFrame has {refused.uneven} rows without {value.size} features in"
            f" {columns.features!r}: drop them, or give them that many numbers."
        )
        raise InvalidData(message)
    frames.check_numbers(refused.broken, refused.outside, value)
    output = F.col(executors.OUTPUT)
    results = _results(output, array_to_vector(output), columns, classes)
    return scored.select("*", *results).drop(executors.OUTPUT)


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
