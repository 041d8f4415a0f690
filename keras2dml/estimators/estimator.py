"""What an estimator is: a compiled model with its weights as they are, and how it scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from keras2dml.compilation import Compilation
from keras2dml.data import datasets, features
from keras2dml.data.frames import Columns
from keras2dml.data.labels import Classes, classes_of, read_labels
from keras2dml.data.sources import draws_batches
from keras2dml.errors import InvalidData
from keras2dml.estimators.layer_outputs import Activations
from keras2dml.estimators.scorer import CompiledModel, Scorer
from keras2dml.rendering.forward import Script
from keras2dml.scripts.algorithms import Algorithm
from keras2dml.systemds.context import SystemDS
from keras2dml.training import examples
from keras2dml.training.examples import Data
from keras2dml.training.steps import Iteration


class Estimator:
    """The state of an estimator, which training changes: weights, the optimizer's state, classes
    and history. It scores with the weights as they are; the model stays in the JVM until they
    change.
    """

    def __init__(
        self,
        spark: SparkSession,
        keras_model: keras.Model,
        compilation: Compilation,
        labels: Path | str | None = None,
    ) -> None:
        """`compilation` is that of `keras_model`, or of a copy of it. Raises InvalidSession, and
        InvalidData for a file of `labels` that has not those of the model.
        """
        self.spark, self.keras_model = spark, keras_model
        self._compilation, self._graph = compilation, compilation.graph
        self._systemds = SystemDS(spark)
        self._matrices = compilation.weights()
        self._state: dict[str, np.ndarray] | None = None
        self._steps = compilation.steps
        if self._steps:
            with suppress(InvalidData):  # scoring needs no optimizer: fit() tells
                self._state = compilation.state(self._matrices)
        self._rate: float | None = None
        self._scorer: Scorer | None = None
        goals = compilation.goals
        self._file_classes = read_labels(labels, goals) if labels else None
        self._classes: Classes = self._file_classes or [classes_of(goal) for goal in goals]
        self._algorithm = Algorithm()
        self._debug = False
        self._columns = Columns()
        self._tables: list[features.Names | None] = [None] * len(self._graph.inputs)
        self._activations: Path | None = None
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.iterations: list[Iteration] = []
        self._validated: Sequence[float] = ()

    def take_settings(self, other: Estimator) -> None:
        """Take over what SystemML's setters set on another estimator."""
        self._algorithm, self._columns = other._algorithm, other._columns
        self._debug, self._activations = other._debug, other._activations
        self._systemds.options = other._systemds.options

    def compiled(self) -> CompiledModel:
        """The scoring script with the weights as they are. Raises UnsupportedModel for a class of
        models that scores otherwise.
        """
        self._compilation.check_scorable()
        return CompiledModel.of(self._graph, self._matrices, self._algorithm)

    def outputs(self, X: object, *, drawn: bool = False) -> list[np.ndarray]:
        """Every output of the model for each row, in Keras' order; of what draws its own batches
        as it draws them, some at a time. What has been `drawn` is not rounded to floatx.
        """
        if draws_batches(X):
            score = partial(self.outputs, drawn=True)
            if self._activations is None:
                return datasets.score_batches(X, score)
            return score(datasets.draw_all(X)[0])
        X = self._in_columns(X, self._tables)
        if self._activations is not None:
            layers = Activations(self._compilation, self._activations)
            layers.write(self.spark, self._systemds, self._matrices, X, drawn=drawn)
        return self._open_scorer().outputs(X, drawn=drawn)

    def _open_scorer(self) -> Scorer:
        if self._scorer is None:
            self._scorer = Scorer(self.spark, self.compiled(), self._systemds)
            self._print_script(self._scorer.model.script)
        return self._scorer

    def _forget(self) -> None:
        """Give up what is in the JVM for scoring."""
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None

    def _replace_weights(self, matrices: dict[str, np.ndarray]) -> None:
        """Take other weights; what was in the JVM for the old ones is given up."""
        self._matrices = {**self._matrices, **matrices}
        self._forget()

    def _in_columns(self, X: object, tables: Sequence[features.Names | None]) -> object:
        """X with the columns of its tables in the order of these."""
        takes = self._graph.takes
        return X if isinstance(X, DataFrame) else features.in_columns(X, takes, tables)

    def _examples(
        self,
        X: object,
        y: object,
        classes: Classes | None,
        sample_weight: object = None,
        class_weight: Mapping[Any, float] | None = None,
        *,
        drawn: bool = False,
    ) -> Data:
        """X and y, checked: arrays, or a DataFrame with the names of its columns."""
        if not isinstance(X, DataFrame):
            weights = sample_weight, class_weight
            return examples.examples(self._compilation, X, y, classes, *weights, drawn=drawn)
        columns = self._columns
        if y is not None:
            columns = replace(columns, label=str(y))
        if sample_weight is not None:
            columns = replace(columns, weight=str(sample_weight))
        return examples.of_frame(
            self._compilation, self._systemds, X, columns, classes, class_weight
        )

    def _print_script(self, script: Script) -> None:
        if self._debug:
            Console(soft_wrap=True).print(script.text, markup=False, highlight=False)
