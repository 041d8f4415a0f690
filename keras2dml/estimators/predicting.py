"""Predictions of an estimator: outputs, classes and scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from keras2dml.data import datasets, features
from keras2dml.data.example_weights import places
from keras2dml.data.labels import Classes
from keras2dml.data.sources import draws_batches
from keras2dml.errors import InvalidData, positive
from keras2dml.estimators import plots
from keras2dml.estimators.estimator import Estimator
from keras2dml.objectives.objective import Goal
from keras2dml.objectives.sums import Measure
from keras2dml.rules import misplaced_sums
from keras2dml.training import reporting
from keras2dml.training.passes import ValidationBatches
from keras2dml.training.run import Validation
from keras2dml.training.steps import measure


class Predicting(Estimator):
    """Classes, probabilities and measures of rows."""

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The column names (D,) of the pandas table on which the model was trained, by which
        columns of other tables are selected; raises AttributeError if there are none, as in
        scikit-learn.
        """
        if len(self._tables) > 1 or self._tables[0] is None:
            message = "The model was not trained on a table with names of columns."
            raise AttributeError(message)
        return np.array(self._tables[0], object)

    @property
    def classes_(self) -> Any:
        """The classes, (K,), or None for an output without classes; for several outputs in the form
        of `predict`.
        """
        return self._compilation.graph.gives.packed(self._classes)

    def predict(self, X: Any) -> Any:
        """The class label of each row, (N,); for an output that is not a classifier its numbers,
        (N,) if there is one per row.

        For several outputs a list, or a dict if the model was built with one. For a DataFrame its
        rows with columns `prediction` and `probability`: the label, or the number if the model is
        not a classifier, and the vector of the model's output.
        """
        if isinstance(X, DataFrame):
            classes = self._classes[0] if self.classifies else None
            return self._open_scorer().frame(X, self._columns, classes)
        parts = zip(self._compilation.goals, self.outputs(X), self._classes, strict=True)
        return self._compilation.graph.gives.packed([_predicted(*part) for part in parts])

    def predict_proba(self, X: object) -> Any:
        """The probability of each class for each row, (N, K) in the order of `classes_`, with two
        columns for a single sigmoid; the raw output if the model is not a classifier, or if the
        output is neither probability nor logit. For several outputs a list, or a dict if the model
        was built with one.
        """
        parts = zip(self._compilation.goals, self.outputs(X), strict=True)
        return self._compilation.graph.gives.packed([_probabilities(*part) for part in parts])

    def transform(self, X: Any) -> Any:
        """What `predict` says."""
        return self.predict(X)

    def score(self, X: object, y: object = None, sample_weight: object = None) -> float:
        """The share of rows whose predicted class is the label in `y`, over all outputs; for a
        model without a classification loss the coefficient of determination, R^2, averaged over
        several numbers, as in scikit-learn. Rows are weighted by `sample_weight`, (N,).
        """
        if isinstance(X, DataFrame):
            names = [self._columns.label if y is None else str(y), self._columns.prediction]
            names += [] if sample_weight is None else [str(sample_weight)]
            rows = self.predict(X).select(*names).toPandas().to_numpy()
            return reporting.agreement(*rows.T, classified=self.classifies)
        drawn = draws_batches(X)
        if drawn:
            datasets.check_alone(y=y, sample_weight=sample_weight)
            X, y, sample_weight = datasets.draw_all(X)
        X = self._in_columns(X, self._tables)
        targets = self._examples(X, y, self._classes, sample_weight, drawn=drawn).targets
        return reporting.score(self._compilation.goals, self.outputs(X, drawn=drawn), targets)

    def evaluate(
        self,
        X: object,
        y: object = None,
        batch_size: int | None = None,
        sample_weight: object = None,
        steps: int | None = None,
        *,
        return_dict: bool = False,
        verbose: int | str = 0,
    ) -> Measure | list[Measure] | dict[str, Measure]:
        """Losses and metrics as from Keras' `evaluate`: the loss, a list, or a dict.

        `steps` is the number of batches. The batch size is Keras' by default: 32, or for an X that
        is split into `steps`, what makes that many batches of all rows. It only matters for losses
        of whole batches and for several outputs. `verbose` is accepted, but nothing is shown.

        Raises InvalidData as `fit` does, and UnsupportedModel for a model class that overrides how
        Keras evaluates.
        """
        self._compilation.check_measurable()
        self._compilation.check_steps(steps=steps)
        size = None if batch_size is None else positive("batch_size", batch_size)
        if steps is not None:
            positive("steps", steps)
        validation = self._validation(
            (X, y, sample_weight), self._classes, self._tables, size, steps
        )
        size = validation.batch_size
        self._check_sums(size, validation.data.rows)
        constants = {
            name: constant.matrix for name, constant in self._compilation.graph.constants()
        }
        with (
            closing(validation.data),
            self._systemds.holding({**self._matrices, **constants}) as weights,
        ):
            logs = measure(self._systemds, self._compilation, weights, validation.data, size)
        if return_dict:
            return logs
        losses = self._compilation.configuration.loss_order
        listed = self._compilation.objective().listed(logs, losses)
        return listed if len(listed) > 1 else listed[0]

    def plot_history(self) -> Any:
        """Plot the loss and the metrics of `history` over the epochs: returns an array of
        Matplotlib Axes. Raises NotFitted before `fit`, and InvalidData without Matplotlib.
        """
        epochs = [number + 1 for number in self.epoch]
        return plots.plot_history(self.history, epochs, self._validated)

    def plot_confusion(self, X: object, y: object = None) -> Any:
        """Plot how often each class of `y` (rows) is predicted as each class (columns), for a model
        with a single output: returns scikit-learn's ConfusionMatrixDisplay, whose
        `confusion_matrix` has the counts. `y` is as for `score`, with a label for each vector of
        the output.

        Raises InvalidData if the model predicts no classes, for a DataFrame, for labels that do not
        fit, or without Matplotlib and scikit-learn.
        """
        if not self.classifies or len(self._classes) > 1:
            message = "The model is no classifier of one output: there is nothing to confuse."
            raise InvalidData(message)
        if isinstance(X, DataFrame):
            message = "X is a DataFrame, of which no confusion is drawn: give X and y as arrays."
            raise InvalidData(message)
        if draws_batches(X):
            datasets.check_alone(y=y)
            X, y, _ = datasets.draw_all(X)
        X = self._in_columns(X, self._tables)
        (target,) = self._examples(X, y, self._classes).targets
        classes, predictions = self._classes[0], np.asarray(self.predict(X))
        labels = np.asarray(classes)[places(target, self._compilation.goals[0]).ravel()]
        return plots.plot_confusion(labels, predictions.ravel(), classes)

    @property
    def classifies(self) -> bool:
        """Whether the model's first output predicts classes."""
        return self._compilation.goals[0].classifies

    def _check_sums(
        self, batch_size: int, examples: int, validation: Validation | None = None
    ) -> None:
        """Raise InvalidData if Keras would add along the wrong axis in batches of this size."""
        sizes = {"batch_size": (batch_size, examples)}
        if validation:
            sizes["validation_batch_size"] = validation.batch_size, validation.data.rows
        eager = self._compilation.configuration.eager
        for argument, (size, rows) in sizes.items():
            misplaced_sums.check(self._graph, size, rows, eager=eager, argument=argument)

    def _validation(
        self,
        examples: Sequence[Any],
        classes: Classes,
        tables: Sequence[features.Names | None],
        size: int | None,
        steps: int | None,
        frequency: int | Collection[int] = 1,
        argument: str = "steps",
    ) -> Validation:
        """X, y and weights to measure in `steps` batches of this size, or of Keras' size;
        `argument` is the user's name of `steps`. Raises InvalidData.
        """
        X, y, sample_weight = examples
        if draws_batches(X):
            datasets.check_alone(y=y, sample_weight=sample_weight)
            repeats = argument == "validation_steps"
            source = ValidationBatches(
                self._compilation, X, steps, argument, classes, repeats=repeats
            )
            return Validation(source.first, source.size, frequency, source.next)
        rows = self._examples(self._in_columns(X, tables), y, classes, sample_weight)
        return Validation.of(rows, size, steps, frequency)


def _predicted(goal: Goal, output: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """The classes of an output's rows, or its numbers if it is not a classifier."""
    if not goal.classifies or classes is None:
        return output[:, 0] if output.shape[1:] == (1,) else output
    if goal.loss.kind == "binary":
        return np.asarray(classes[(output[..., 0] > goal.loss.threshold).astype(int)])
    return np.asarray(classes[output.argmax(axis=-1)])


def _probabilities(goal: Goal, output: np.ndarray) -> np.ndarray:
    """The probability of each class, if the output has probabilities."""
    if not goal.classifies or goal.loss.is_margin:
        return output
    logits = not goal.loss.reads_probabilities
    if goal.loss.kind != "binary":
        powers = np.exp(output - output.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True) if logits else output
    second = (1 + np.tanh(output / 2)) / 2 if logits else output  # a sigmoid, of any number
    return np.concatenate([1 - second, second], axis=-1)
