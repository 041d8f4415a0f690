"""Examples: X and y, and how they are split for validation and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from keras2dml.compilation import Compilation
from keras2dml.data import features as data
from keras2dml.data import frames
from keras2dml.data import labels as targets
from keras2dml.data.frames import Columns, Rows
from keras2dml.data.labels import Classes, Targets
from keras2dml.data.sources import draws_batches
from keras2dml.errors import InvalidData
from keras2dml.objectives.objective import Objective
from keras2dml.systemds.context import SystemDS

Values = np.ndarray | Rows


@dataclass(frozen=True, eq=False)
class Data:
    """The examples of a run, or those that are held back for validation. `close` frees what is
    cached of DataFrames, including that of `parts`.
    """

    features: tuple[Values, ...]
    targets: tuple[Targets, ...]
    parts: list[Data] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of examples."""
        return len(self.features[0])

    def part(self, rows: slice, *, measured: bool = False) -> Data:
        """Some of the examples, without weights if `measured`."""
        targets = [replace(target, weights=None) if measured else target for target in self.targets]
        part = Data(
            tuple(matrix[rows] for matrix in self.features),
            tuple(target[rows] for target in targets),
        )
        self.parts.append(part)
        return part

    def close(self) -> None:
        """Free what is cached of DataFrames."""
        for part in self.parts:
            part.close()
        targets = [target.matrix for target in self.targets]
        weights = [target.weights for target in self.targets]
        for matrix in (*self.features, *targets, *weights):
            if isinstance(matrix, Rows):
                matrix.close()

    def matrices(self, objective: Objective) -> dict[str, Values]:
        """Inputs, targets and weights by their names in scripts."""
        graph = objective.graph
        names = zip(objective.names("sample_weight"), self.targets, strict=True)
        return {
            **{
                graph.input_name(value): matrix
                for value, matrix in zip(graph.inputs, self.features, strict=True)
            },
            **{
                name: target.matrix
                for name, target in zip(objective.targets, self.targets, strict=True)
            },
            **{name: target.weights for name, target in names if target.weights is not None},
        }


def examples(
    compilation: Compilation,
    X: object,
    y: object,
    classes: Classes | None = None,
    sample_weight: object = None,
    class_weight: Mapping[Any, float] | None = None,
    *,
    drawn: bool = False,
) -> Data:
    """X and y as users pass them, or as they are `drawn` from batches, checked; raises InvalidData
    if they do not fit the model.
    """
    if y is None:
        # In scikit-learn's wording, which its checks of estimators look for.
        message = "An array as X requires y to be passed, but the target y is None: pass y, too."
        raise InvalidData(message)
    graph = compilation.graph
    features = tuple(data.inputs(X, graph, drawn=drawn).values())
    rows, weights = len(features[0]), (sample_weight, class_weight)
    labels = targets.of_outputs(
        y, graph.gives, compilation.goals, rows, classes, *weights, drawn=drawn
    )
    return Data(features, labels)


def of_frame(
    compilation: Compilation,
    systemds: SystemDS,
    frame: DataFrame,
    columns: Columns,
    classes: Classes | None = None,
    class_weight: object = None,
) -> Data:
    """The examples of a DataFrame; raises InvalidData if they do not fit the model."""
    graph = compilation.graph
    if len(graph.inputs) > 1 or len(compilation.goals) > 1:
        message = (
            "The model has several inputs or outputs, which a DataFrame has no place for: give X"
            " and y as lists of arrays."
        )
        raise InvalidData(message)
    if class_weight is not None:
        message = "class_weight is given with a DataFrame: give sample_weight, a column's name."
        raise InvalidData(message)
    features, labels = frames.examples(
        systemds,
        frame,
        columns,
        graph.input,
        compilation.goals[0],
        None if classes is None else classes[0],
    )
    return Data((features,), (labels,))


def parts(validation_data: Any) -> tuple[Any, Any, Any]:
    """X, y and weights of Keras' `validation_data`; only X for a DataFrame, or an X that yields
    batches.
    """
    alone = isinstance(validation_data, DataFrame) or draws_batches(validation_data)
    if not alone and not isinstance(validation_data, (tuple, list)):
        kind = type(validation_data).__name__
        message = f"validation_data is of the type {kind}: give (X, y), or (X, y, sample_weight)."
        raise InvalidData(message)
    whole: tuple[Any, ...] = (validation_data,) if alone else tuple(validation_data)
    if not 1 <= len(whole) <= 3:
        message = f"validation_data has {len(whole)} parts: give (X, y), or (X, y, sample_weight)."
        raise InvalidData(message)
    X, y, sample_weight, *_ = *whole, None, None
    return X, y, sample_weight


def split(dataset: Data, share: float, *, by_class: bool = False) -> tuple[Data, Data]:
    """The rows to train on, and the last ones for validation, split as in Keras.

    Weights that are `by_class` are for training only.
    """
    begin = int(dataset.rows * (1 - share))
    if not 0 < begin < dataset.rows:
        message = (
            f"validation_split={share} of {dataset.rows} rows leaves none to train on or none to"
            " validate with: give a fraction between 0 and 1 that leaves both."
        )
        raise InvalidData(message)
    return dataset.part(slice(begin)), dataset.part(slice(begin, None), measured=by_class)


def split_test(
    dataset: Data, batches: int, batch_size: int, *, by_class: bool = False
) -> tuple[Data, Data]:
    """The rows to train on, and the first ones for testing, split as in SystemML.

    Weights that are `by_class` are for training only.
    """
    count = batches * batch_size
    if count >= dataset.rows:
        message = f"test_iter={batches} keeps {count} of {dataset.rows} rows for testing: lower it."
        raise InvalidData(message)
    return dataset.part(slice(count, None)), dataset.part(slice(count), measured=by_class)
