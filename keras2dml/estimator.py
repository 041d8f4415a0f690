"""Keras2DML: a Keras classifier as an estimator that SystemDS trains and scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from pyspark.sql import SparkSession
from rich.console import Console

from keras2dml import data, folder, onnx, reporting, targets
from keras2dml.callbacks import Callbacks
from keras2dml.checkpoint import Checkpoint
from keras2dml.compilation import Compilation
from keras2dml.epochs import Report, Run
from keras2dml.errors import InvalidData
from keras2dml.fitting import Data, Iteration, Plan, Training
from keras2dml.scorer import CompiledModel, Scorer
from keras2dml.systemds import SystemDS


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
        self._state = self._compilation.state()
        self._steps = self._compilation.steps
        self._scorer: Scorer | None = None
        self.classes_: Any = targets.classes_of(self._compilation.goals[0])
        self._inputs = {self._graph.input_name(value): value for value in self._graph.inputs}
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.iterations: list[Iteration] = []

    def fit(
        self,
        X: object,
        y: object,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: int | str | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        validation_split: float = 0.0,
        validation_data: Sequence[object] | None = None,
        shuffle: bool | None = None,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        report: Report | None = None,
        checkpoint: Path | str | None = None,
    ) -> Self:
        """Train from the current weights and the current state of the optimizer on.

        X is (N, *shape) in the model's own layout, or rows (N, D) in SystemML's order C,H,W; y is
        (N,) of class labels, (N, K) of probabilities, or numbers. The other arguments are Keras';
        `epochs` take the place of `max_iter`, and then the rows are shuffled unless `shuffle` is
        False; without they are taken in their order, as SystemML did. `report` is called with the
        iterations done since its last call, instead of showing a progress bar. With a folder
        `checkpoint`, the same call goes on where a killed run was. Raises InvalidData before
        anything runs.

        Returns this estimator, which has what Keras' History has: `history` and `epoch`.
        """
        size = _positive("batch_size", batch_size or self.batch_size)
        data = self._checked(X, y, None, sample_weight, class_weight)
        tested = validation = None
        if validation_data is not None:
            rows, labels, *weights = validation_data
            classes = data.targets[0].classes
            validation = self._checked(rows, labels, classes, next(iter(weights), None))
        elif validation_split:
            data, validation = _split(data, validation_split)
        elif self.test_interval and self.test_iter:
            data, tested = self._kept(data, self.test_iter * size)
        batches = -(-data.rows // size)
        plan = Plan(
            data.rows,
            size,
            (epochs - initial_epoch) * batches if epochs else self.max_iter,
            self.test_interval if tested else 0,
            by_epoch=bool(epochs or validation or callbacks),
            first_epoch=initial_epoch,
        )
        training = Training(
            self._systemds,
            self._compilation,
            {**self._matrices, **self._state},
            data,
            self._steps,
            self.seed,
            shuffled=bool(epochs) if shuffle is None else shuffle,
        )
        with closing(training):
            self._run(
                Run(training, plan, tested, validation, report=report),
                callbacks,
                verbose,
                checkpoint,
            )
        self.classes_ = data.targets[0].classes
        if self.weights is not None:
            self.save(self.weights)
        return self

    def predict(self, X: object) -> np.ndarray:
        """The class label of each row, (N,); of a model that is no classifier its output."""
        output, loss = self.predict_proba(X), self._compilation.goals[0].loss
        if loss.kind == "numbers" or (loss.kind == "binary" and output.shape[-1] > 1):
            return output
        if loss.kind == "binary":
            return np.asarray(self.classes_[(output[..., 0] > loss.threshold).astype(int)])
        return np.asarray(self.classes_[output.argmax(axis=-1)])

    def predict_proba(self, X: object) -> np.ndarray:
        """The model's output for each row, (N, K) in the order of `classes_`."""
        return self.outputs(X)[0]

    def outputs(self, X: object) -> list[np.ndarray]:
        """Every output of the model for each row, in Keras' order."""
        if self._scorer is None:
            self._scorer = Scorer(self.spark, CompiledModel.of(self._graph, self._matrices))
        return self._scorer.outputs(X)

    def score(self, X: object, y: object) -> float:
        """The share of rows whose predicted class is the label in `y`, over all outputs; of a model
        whose loss is no classification the coefficient of determination, R^2.
        """
        targets = self._checked(X, y, self.classes_).targets
        return reporting.score(self._compilation.goals, self.outputs(X), targets)

    def summary(self, console: Console | None = None) -> None:
        """Print the compiled model: a row for each step."""
        (console or Console()).print(reporting.summary(self._graph))

    def get_training_script(self) -> str:
        """The DML that `fit` runs on class labels."""
        return self._compilation.training_script().text

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
        """A new Keras model with the weights and the optimizer's state as they are now."""
        return self._compilation.keras_model({**self._matrices, **self._state}, self._steps)

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
        self,
        X: object,
        y: object,
        known: np.ndarray | None = None,
        sample_weight: object = None,
        class_weight: Mapping[Any, float] | None = None,
    ) -> Data:
        features = tuple(data.inputs(X, self._inputs).values())
        goals = self._compilation.goals
        given = targets.of_outputs(y, goals, len(features[0]), known, sample_weight, class_weight)
        return Data(features, given)

    def _kept(self, given: Data, kept: int) -> tuple[Data, Data]:
        """The rows to train on, and the first ones, kept for SystemML's test."""
        if kept >= given.rows:
            message = (
                f"test_iter={self.test_iter} keeps {kept} of {given.rows} rows for testing:"
                " lower it."
            )
            raise InvalidData(message)
        return given.part(slice(kept, None)), given.part(slice(kept))

    def _run(
        self,
        run: Run,
        callbacks: Sequence[keras.callbacks.Callback],
        verbose: int | str | None,
        checkpoint: Path | str | None,
    ) -> None:
        """Carry the run out, and keep what it leaves."""
        plan, training = run.plan, run.training
        if checkpoint is not None:
            about = {**asdict(plan), "seed": self.seed, "script": training.fingerprint}
            run.checkpoint = Checkpoint(checkpoint, about)
        if callbacks:
            before = {**self._matrices, **self._state}
            run.callbacks = Callbacks(
                callbacks, self._compilation, before, self._steps, plan.epochs
            )
        quiet = verbose == 0 if verbose is not None else not self.display
        with ExitStack() as shown:
            if run.report is None and not quiet:
                every = 0 if verbose == 2 else self.display
                run.display = shown.enter_context(reporting.Display(plan.iterations, every))
            run.go()
        matrices = training.matrices()
        self._state = {name: matrices[name] for name in self._state}
        averages = self._compilation.averages(self._state)
        self._changed({**{name: matrices[name] for name in self._matrices}, **averages})
        self._steps = training.steps
        self.history, self.iterations = dict(run.history), run.iterations
        self.epoch = list(range(plan.first_epoch, plan.first_epoch + len(self.history["loss"])))


def _split(given: Data, share: float) -> tuple[Data, Data]:
    """The rows to train on, and the last ones, as Keras splits them."""
    begin = int(given.rows * (1 - share))
    if not 0 < begin < given.rows:
        message = f"validation_split={share} leaves no rows on one side: give a share between."
        raise InvalidData(message)
    return given.part(slice(begin)), given.part(slice(begin, None))


def _positive(name: str, value: int) -> int:
    if value < 1:
        message = f"{name} is {value}: give a whole number of 1 or more."
        raise InvalidData(message)
    return value
