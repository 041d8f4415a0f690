"""Keras2DML: a Keras classifier as an estimator that SystemDS trains and scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

import keras
import numpy as np
from pyspark.sql import SparkSession
from rich.console import Console

from keras2dml import data, folder, onnx, reporting
from keras2dml.compilation import Compilation
from keras2dml.errors import InvalidData
from keras2dml.fitting import Held, Iteration, Plan, Training, averages
from keras2dml.scorer import CompiledModel, Scorer
from keras2dml.systemds import SystemDS

Report = Callable[[Sequence[Iteration]], None]


class Keras2DML:
    """A Keras classifier, compiled to DML; `fit` and `predict` run on the SystemDS of a
    SparkSession.

    `keras_model` is a Sequential or functional model with an input shape. Where it is not compiled,
    it gets what SystemML gave it: cross-entropy, and SGD with learning rate 0.01, momentum 0.95 and
    Nesterov's step. The Keras model itself is never changed: `to_keras()` makes one with the
    trained weights.

    After `fit`, `history` has loss and accuracy by epoch, as Keras' History has, and `iterations`
    by mini-batch.
    """

    def __init__(
        self,
        spark: SparkSession,
        keras_model: keras.Model,
        input_shape: tuple[int, ...] | None = None,
        weights: Path | str | None = None,
        batch_size: int = 64,
        max_iter: int = 2000,
        test_iter: int = 10,
        test_interval: int = 0,
        display: int = 100,
        seed: int = 42,
    ) -> None:
        """`input_shape` is (C, H, W), and checked against the model's; `fit` writes its weights to
        the folder `weights`.

        `max_iter` counts mini-batches of `batch_size`. Every `test_interval` of them the loss and
        accuracy of the first `test_iter` mini-batches are measured, which are kept from training; 0
        leaves that out. `display` is how often training reports, 0 for never; `seed` is dropout's.
        Raises UnsupportedModel with all complaints at once, InvalidData and InvalidSession.
        """
        self.spark = spark
        self.keras_model = keras_model
        self.weights = weights
        self.batch_size = _positive("batch_size", batch_size)
        self.max_iter = _positive("max_iter", max_iter)
        self.test_iter = test_iter
        self.test_interval = test_interval
        self.display = display
        self.seed = seed
        self._compilation = Compilation.of(keras_model)
        if input_shape is not None:
            self._compilation.agrees_with(input_shape)
        self._graph = self._compilation.graph
        self._systemds = SystemDS(spark)
        self._matrices = self._compilation.weights()
        self._scorer: Scorer | None = None
        self.classes_ = np.arange(self._graph.output.shape[-1])
        self._inputs = {self._graph.input_name(value): value for value in self._graph.inputs}
        self.history: dict[str, list[float]] = {}
        self.iterations: list[Iteration] = []

    def fit(
        self,
        X: object,
        y: object,
        batch_size: int | None = None,
        epochs: int | None = None,
        validation_data: tuple[object, object] | None = None,
        report: Report | None = None,
    ) -> Self:
        """Train from the current weights on, with mini-batches in the order of the rows.

        X is (N, *shape) in the model's own layout, or rows (N, D) in SystemML's order C,H,W; y is
        (N,) of class labels or (N, K) of probabilities. Keras' `epochs` take the place of
        `max_iter`; `validation_data` is measured after each epoch. `report` is called with the
        iterations done since its last call, instead of showing a progress bar. Raises InvalidData
        before anything runs.
        """
        size = _positive("batch_size", batch_size or self.batch_size)
        features, targets = self._checked(X, y)
        held, interval = None, 0
        if validation_data is not None:
            held = Held(*self._checked(*validation_data, known=targets[0].classes))
            interval = -(-len(features[0]) // size)
        elif self.test_interval and self.test_iter:
            held, interval = self._kept(features, targets, self.test_iter * size)
            features, targets = _part(features, targets, slice(self.test_iter * size, None))
        rows = len(features[0])
        iterations = epochs * -(-rows // size) if epochs else self.max_iter
        plan = Plan(rows, size, iterations, interval)
        training = Training(
            self._systemds, self._compilation, self._matrices, targets, features, self.seed
        )
        with closing(training):
            self._run(training, plan, held, report)
            self._changed(training.weights())
        self.classes_ = targets[0].classes
        if self.weights is not None:
            self.save(self.weights)
        return self

    def predict(self, X: object) -> np.ndarray:
        """The class label of each row, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: object) -> np.ndarray:
        """The model's output for each row, (N, K) in the order of `classes_`."""
        return self.outputs(X)[0]

    def outputs(self, X: object) -> list[np.ndarray]:
        """Every output of the model for each row, in Keras' order."""
        if self._scorer is None:
            self._scorer = Scorer(self.spark, CompiledModel.of(self._graph, self._matrices))
        return self._scorer.outputs(X)

    def score(self, X: object, y: object) -> float:
        """The share of rows whose predicted class is the label in `y`, over all outputs."""
        _, targets = self._checked(X, y, known=self.classes_)
        shares = []
        for found, target, output in zip(
            self.outputs(X), targets, self._graph.outputs, strict=True
        ):
            shape = (len(found), *output.shape[:-1])
            wanted = (
                target.matrix.reshape(shape).astype(int) - 1
                if target.of_classes
                else target.matrix.reshape(found.shape).argmax(axis=-1)
            )
            shares.append(np.mean(found.argmax(axis=-1) == wanted))
        return float(np.mean(shares))

    def summary(self, console: Console | None = None) -> None:
        """Print the compiled model: a row for each step."""
        (console or Console()).print(reporting.summary(self._graph))

    def get_training_script(self) -> str:
        """The DML that `fit` runs on class labels."""
        return self._compilation.training_script((True,) * len(self._graph.outputs)).text

    def get_prediction_script(self) -> str:
        """The DML that `predict` runs."""
        return CompiledModel.of(self._graph, self._matrices).script.text

    def save(self, folder_path: Path | str, format: str = "binary") -> None:
        """Write the weights to a folder as SystemML did, a matrix each: `format` is binary, csv or
        text.
        """
        folder.save(self._systemds, self._graph, self._matrices, Path(folder_path), format)

    def load(self, weights: Path | str, ignore_weights: Collection[str] = ()) -> Self:
        """Read the weights that `save` wrote, but for the layers in `ignore_weights`. Raises
        InvalidData.
        """
        self._changed(folder.load(self._systemds, self._graph, Path(weights), ignore_weights))
        return self

    def to_keras(self) -> keras.Model:
        """A new Keras model with the weights as they are now."""
        return self._compilation.keras_model(self._matrices)

    def to_onnx(self, path: Path | str) -> None:
        """Write the model as ONNX: input "X" float32 (N, *shape) in Keras' layout, output
        "probabilities" (N, K).
        """
        Path(path).write_bytes(onnx.exported(self._graph, self._matrices).SerializeToString())

    def save_compiled(self, folder_path: Path | str) -> Path:
        """Write the scoring script and weights to a folder, for Scorer: scoring then needs neither
        Keras nor this model.
        """
        return CompiledModel.of(self._graph, self._matrices).save(folder_path)

    def _changed(self, matrices: dict[str, np.ndarray]) -> None:
        """Take other weights; what was in the JVM for the old ones is given up."""
        self._matrices = {**self._matrices, **matrices}
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None

    def _checked(
        self, X: object, y: object, known: np.ndarray | None = None
    ) -> tuple[tuple[np.ndarray, ...], tuple[data.Targets, ...]]:
        features = tuple(data.inputs(X, self._inputs).values())
        targets = data.outputs(y, self._graph.outputs, len(features[0]), known)
        for loss, target in zip(self._compilation.losses, targets, strict=True):
            if loss.sparse and not target.of_classes:
                message = (
                    "y has a column for each class, and the loss is sparse: give class numbers, or"
                    " use 'categorical_crossentropy'."
                )
                raise InvalidData(message)
        return features, targets

    def _kept(
        self, features: tuple[np.ndarray, ...], targets: tuple[data.Targets, ...], kept: int
    ) -> tuple[Held, int]:
        """The first rows, kept for SystemML's test, and how often that is."""
        if kept >= len(features[0]):
            message = (
                f"test_iter={self.test_iter} keeps {kept} of {len(features[0])} rows for"
                " testing: lower it."
            )
            raise InvalidData(message)
        return Held(*_part(features, targets, slice(kept))), self.test_interval

    def _run(
        self, training: Training, plan: Plan, held: Held | None, report: Report | None
    ) -> None:
        """Run the plan, and keep and show what it reports."""
        self.iterations = []
        measured: dict[str, list[float]] = defaultdict(list)
        with ExitStack() as shown:
            display = None
            if report is None and self.display:
                display = shown.enter_context(reporting.Display(plan.iterations, self.display))
            for steps in training.run(plan):
                self.iterations += steps
                if display:
                    display.show(steps)
                if report:
                    report(steps)
                if held is not None and self.iterations[-1].number % plan.interval == 0:
                    measures = training.measure(held)
                    for name, value in measures.items():
                        measured[f"val_{name}"].append(value)
                    if display:
                        display.say(held.line(self.iterations[-1].number, measures))
        self.history = {**averages(self.iterations, plan.batches), **measured}


def _part(
    features: tuple[np.ndarray, ...], targets: tuple[data.Targets, ...], part: slice
) -> tuple[tuple[np.ndarray, ...], tuple[data.Targets, ...]]:
    """Some rows of X and y."""
    return tuple(one[part] for one in features), tuple(one[part] for one in targets)


def _positive(name: str, value: int) -> int:
    if value < 1:
        message = f"{name} is {value}: give a whole number of 1 or more."
        raise InvalidData(message)
    return value
