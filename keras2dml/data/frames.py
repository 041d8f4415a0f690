"""Converts Spark DataFrames to SystemDS matrices; rows are only moved to the driver if SystemDS'
plan does so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, NumericType, StringType

from keras2dml import input_types
from keras2dml.data.labels import Targets
from keras2dml.errors import InvalidData
from keras2dml.graph import Value
from keras2dml.scripts import columns as scripts
from keras2dml.systemds.context import SystemDS
from keras2dml.systemds.matrices import Matrix

if TYPE_CHECKING:
    from keras2dml.objectives.objective import Goal

INDEX = "__INDEX"


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix (N, D) in the JVM with all or some rows of a DataFrame."""

    systemds: SystemDS
    matrix: Matrix
    rows: int
    frame: DataFrame | None = None

    def close(self) -> None:
        """Free the matrix, and the cached DataFrame."""
        self.systemds.free(self.matrix)
        if self.frame is not None:
            self.frame.unpersist()

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, part: slice) -> Rows:
        begin, end, _ = part.indices(self.rows)
        matrix = self.systemds.run(scripts.rows(begin, end), {"all": self.matrix})["part"]
        return Rows(self.systemds, matrix, end - begin)


@dataclass(frozen=True)
class Columns:
    """The names of a DataFrame's columns: features, labels, sample weights if any, and the model's
    results.
    """

    features: str = "features"
    label: str = "label"
    weight: str | None = None
    prediction: str = "prediction"
    probability: str = "probability"


def examples(
    systemds: SystemDS,
    frame: DataFrame,
    columns: Columns,
    value: Value,
    goal: Goal,
    classes: np.ndarray | None = None,
) -> tuple[Rows, Targets]:
    """The features and labels of a DataFrame.

    Features are vectors in SystemML's order (C, H, W), or arrays nested like the model's input;
    labels are numbers, strings, or for an output of several numbers vectors or arrays. Raises
    InvalidData for other columns, and for numbers that are missing, NaN or infinite.
    """
    if goal.vectors > 1:
        message = "The model's output has several vectors for each row: give numpy arrays."
        raise InvalidData(message)
    label, width, about = _labels(frame, columns.label, goal, classes)
    array, order = feature_array(frame, columns.features, value)
    parts, arrays = {"labels": width}, [label]
    if columns.weight is not None:
        parts["weights"] = 1
        arrays.append(F.array(_column(frame, columns.weight).cast("double")))
    with _persisted(frame.select(array_to_vector(F.concat(*arrays, array)).alias("all"))) as all_:
        rows = all_.count()
        if rows == 0:
            message = "The DataFrame is empty: give at least one row."
            raise InvalidData(message)
        matrices = _split(systemds, all_, rows, {**parts, "features": value.size}, order, value)
    blocks = {name: Rows(systemds, matrix, rows, all_) for name, matrix in matrices.items()}
    return blocks["features"], replace(
        about, matrix=blocks["labels"], weights=blocks.get("weights")
    )


def features(
    systemds: SystemDS, frame: DataFrame, column: str, value: Value
) -> tuple[Matrix, DataFrame]:
    """The features of a DataFrame as a matrix, and the DataFrame with row numbers, which stays
    cached until it is unpersisted.
    """
    with _persisted(systemds.numbered(frame, INDEX)) as numbered:
        array, order = feature_array(numbered, column, value)
        vectors = numbered.select(INDEX, array_to_vector(array).alias("all"))
        matrices = _split(
            systemds, vectors, numbered.count(), {"features": value.size}, order, value
        )
    return matrices["features"], numbered


@contextmanager
def _persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Cache a DataFrame; it is unpersisted if the body fails."""
    frame.persist()
    try:
        yield frame
    except BaseException:
        frame.unpersist()
        raise


def _split(
    systemds: SystemDS,
    frame: DataFrame,
    rows: int,
    parts: Mapping[str, int],
    order: np.ndarray | None,
    value: Value,
) -> dict[str, Matrix]:
    """The parts of a column of vectors as matrices, with features in DML's order; raises
    InvalidData for anything but numbers.
    """
    variables = {"all": systemds.of_frame(frame, rows, sum(parts.values()))}
    if order is not None:
        variables["order"] = systemds.matrix(order.reshape(-1, 1) + 1.0)
    script = scripts.render(parts, value, ordered=order is not None)
    try:
        matrices = systemds.run(script, variables)
    finally:
        systemds.free(*variables.values())
    counts = [matrices.pop(name) for name in ("broken", "outside")]
    broken, outside = (int(systemds.numpy(count)[0, 0]) for count in counts)
    systemds.free(*counts)
    try:
        check_numbers(broken, outside, value)
    except InvalidData:
        systemds.free(*matrices.values())
        raise
    return matrices


def check_numbers(broken: int, outside: int, value: Value) -> None:
    """Raise InvalidData if some numbers are not finite, or `outside` the type of an input."""
    if broken:
        message = f"The DataFrame has {broken} values that are NaN or infinite: clean or drop them."
        raise InvalidData(message)
    input_types.check_limits(outside, value, "The DataFrame")


def feature_array(frame: DataFrame, name: str, value: Value) -> tuple[Column, np.ndarray | None]:
    """The features as an array column, and DML's order if it is another."""
    column, kind = _column(frame, name), frame.schema[name].dataType
    if isinstance(kind, VectorUDT):
        return F.when(column.isNotNull(), vector_to_array(column)), None
    depth = 0
    while isinstance(kind, ArrayType):
        kind, depth = kind.elementType, depth + 1
    if depth == 0 or not isinstance(kind, NumericType):
        message = (
            f"Column {name!r} has type {frame.schema[name].dataType.simpleString()}: give vectors,"
            " or arrays of numbers."
        )
        raise InvalidData(message)
    for _ in range(depth - 1):
        column = F.flatten(column)
    plain = depth == 1 or value.in_keras_order
    return column.cast("array<double>"), None if plain else value.order


def _labels(
    frame: DataFrame, name: str, goal: Goal, classes: np.ndarray | None
) -> tuple[Column, int, Targets]:
    """The labels as an array column, their number, and their classes."""
    column, kind = _column(frame, name), frame.schema[name].dataType
    size = goal.value.size
    nothing = np.empty((0, 1))
    if isinstance(kind, (VectorUDT, ArrayType)):
        if goal.loss.kind == "sparse":
            message = (
                f"Column {name!r} has several numbers, but the loss needs one class: give that."
            )
            raise InvalidData(message)
        array = vector_to_array(column) if isinstance(kind, VectorUDT) else column
        classes = np.arange(size) if goal.loss.kind == "classes" else None
        return array.cast("array<double>"), size, Targets(nothing, classes, of_classes=False)
    if goal.loss.kind in ("numbers", "labels") or (goal.loss.kind == "binary" and size > 1):
        number = F.coalesce(column.cast("double"), F.lit(float("nan")))
        return F.array(number), 1, Targets(nothing, None, of_classes=False)
    if classes is None:
        values = [row[0] for row in frame.select(column).distinct().limit(10_000).collect()]
        classes = _classes(values, max(size, 2), isinstance(kind, StringType))
    classes = classes.astype(int) if classes.dtype.kind == "b" else classes
    listed = F.array(*(F.lit(name.item()) for name in classes))
    label = column.cast("long") if classes.dtype.kind in "iu" else column
    place = F.call_function("array_position", listed, label)
    binary = goal.loss.kind == "binary"
    number = F.when(place > 0, (place - F.lit(1 if binary else 0)).cast("double"))
    about = Targets(nothing, classes, of_classes=not binary)
    return F.array(F.coalesce(number, F.lit(float("nan")))), 1, about


def _classes(labels: Sequence[Any], count: int, named: bool) -> np.ndarray:
    """The classes of labels: the names in their order, or whole numbers from 0."""
    if named and len(labels) == count and None not in labels:
        return np.array(sorted(labels))
    wrong = (
        [label for label in labels if label is None or label not in range(count)]
        if not named
        else labels
    )
    if wrong:
        listed = ", ".join(map(str, wrong[:5]))
        message = (
            f"The labels {listed} do not fit a model with {count} classes: give numbers from 0 to"
            f" {count - 1}, or {count} names."
        )
        raise InvalidData(message)
    return np.arange(count)


def _column(frame: DataFrame, name: str) -> Column:
    if name not in frame.columns:
        message = (
            f"The DataFrame has no column {name!r}. It has {', '.join(frame.columns)}: use one of"
            " these."
        )
        raise InvalidData(message)
    return frame[name]
