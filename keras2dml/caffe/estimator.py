"""Caffe2DML: a Caffe solver and its network as an estimator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import keras
from pyspark.sql import DataFrame, SparkSession

from keras2dml.caffe import reader, weights
from keras2dml.caffe.network import Network
from keras2dml.caffe.solver import Solver
from keras2dml.data import features
from keras2dml.data.labels import Classes
from keras2dml.errors import InvalidData, UnsupportedModel
from keras2dml.estimators.keras2dml import Keras2DML
from keras2dml.graph import Shape
from keras2dml.training.examples import Data


class Caffe2DML(Keras2DML):
    """A Caffe network, converted to a Keras model with channels first, with a solver's optimizer.
    Everything else works as in Keras2DML; `to_keras()` returns the Keras model.

    X is the output of the network's data layer: apply that layer's transform_param to the examples
    before `fit` and `predict`; a warning lists what it does.
    """

    def __init__(
        self,
        spark: SparkSession,
        solver: Path | str,
        input_shape: tuple[int, ...],
        caffemodel: Path | str | None = None,
        weights: Path | str | None = None,
        batch_size: int | None = None,
        seed: int = 42,
    ) -> None:
        """`solver` is the solver's text file, `input_shape` the (C, H, W) of X, `caffemodel` a file
        with weights, which replaces the solver's; `fit` writes its weights to the folder `weights`.

        Raises UnsupportedModel with all complaints at once, InvalidData and InvalidSession.
        """
        description, network = read(Path(solver), tuple(input_shape))
        self._network = network
        model = network.model()
        model.compile(description.optimizer(network.factors), **objective(network))
        load_weights(network, description, caffemodel)
        warn_of_transforms(network)
        message, steps = description.message, max(description.message.iter_size, 1)
        super().__init__(
            spark,
            model,
            weights=weights,
            batch_size=batch_size or network.source.batch_size or 64,
            max_iter=max(message.max_iter, 1) * steps,
            test_iter=description.test_iter,
            test_interval=message.test_interval * steps,
            display=message.display * steps,
            seed=message.random_seed if message.random_seed >= 0 else seed,
        )
        self.solver, self.input_shape, self.caffemodel = solver, input_shape, caffemodel

    def fit(self, X: object, y: object = None, *args: Any, **arguments: Any) -> Self:
        """Train as Keras2DML does. y replaces the label top of the data layer, (N,) or (N, D), or
        is a list of several such tops; leave it out if the network learns its input. Also raises
        InvalidData for a network without a loss.
        """
        if not self._network.heads:
            message = (
                f"The network {self._network.name!r} has no loss layer, so it cannot be trained:"
                " add one, such as SoftmaxWithLoss."
            )
            raise InvalidData(message)
        return super().fit(X, y, *args, **arguments)

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
        """X and y, checked, with labels for each loss."""
        labels = self._labels(X, y)
        return super()._examples(X, labels, classes, sample_weight, class_weight, drawn=drawn)

    def _labels(self, X: object, y: object) -> object:
        """y for each output."""
        network = self._network
        targets = [head.target for head in network.heads]
        tops = [top for top in network.source.labels if top in targets]
        if isinstance(X, DataFrame) or not targets or isinstance(y, dict):
            return y
        if None in targets and (y is not None or len(targets) > 1):
            message = f"The network {network.name!r} learns its input: leave y out."
            raise InvalidData(message)
        if None in targets:
            return features.rows(X, self._graph.input)
        listed = y if len(tops) > 1 else [y]
        if not isinstance(listed, (list, tuple)) or len(listed) != len(tops):
            message = f"The losses learn from {', '.join(tops)}: give y as a list of these."
            raise InvalidData(message)
        by_top = dict(zip(tops, listed, strict=True))
        labels = [by_top[str(target)] for target in targets]
        return labels if len(labels) > 1 else labels[0]


def read(solver: Path, shape: Shape) -> tuple[Solver, Network]:
    """Read a solver and its network, for examples of this shape. Raises UnsupportedModel with all
    complaints about both, and InvalidData.
    """
    described = Solver.read(solver)
    network = reader.read(described.networks(), shape, described.decay)
    complaints = [*described.refusals(), *network.complaints]
    if complaints:
        raise UnsupportedModel(network.name, complaints)
    return described, network


def objective(network: Network) -> dict[str, Any]:
    """The arguments of Keras' compile: losses, their weights and metrics of each output."""
    if not network.heads:
        classes = {*map(id, network.classes)}
        losses = [
            "sparse_categorical_crossentropy" if id(output) in classes else "mean_squared_error"
            for output in network.outputs
        ]
        return {"loss": losses if len(losses) > 1 else losses[0]}
    metrics = [
        ["accuracy", *map(_top, sorted(network.accuracies.get(head.scores, {1}) - {1}))]
        if isinstance(head.loss, keras.losses.SparseCategoricalCrossentropy)
        else []
        for head in network.heads
    ]
    several, factors = len(network.heads) > 1, [head.weight for head in network.heads]
    return {
        "loss": [head.loss for head in network.heads] if several else network.heads[0].loss,
        "loss_weights": factors if several else factors[0],
        "metrics": metrics if several else metrics[0],
    }


def _top(count: int) -> keras.metrics.Metric:
    return keras.metrics.SparseTopKCategoricalAccuracy(count, name=f"top_{count}_accuracy")


def load_weights(network: Network, described: Solver, caffemodel: Path | str | None) -> None:
    """Load the initial weights: all of them from a file, or those that the solver's files have,
    with a warning about layers that keep their fillers. Raises InvalidData.
    """
    if caffemodel is not None:
        weights.load(network.learned, Path(caffemodel))
        return
    files = described.weights
    missing = [set(weights.load(network.learned, file, partly=True)) for file in files]
    fresh = set.intersection(*missing) if missing else set()
    if fresh:
        warnings.warn(
            f"{', '.join(map(str, files))} has no blobs for {', '.join(sorted(fresh))}: they start"
            " from their fillers.",
            stacklevel=3,
        )


def warn_of_transforms(network: Network) -> None:
    """Warn about the data layer's transforms, which are not applied to X."""
    if network.source.transforms:
        warnings.warn(
            f"The data layer of {network.name} transforms its examples:"
            f" {'; '.join(network.source.transforms)}. X must be the output of that layer: apply"
            " these before fit and predict.",
            stacklevel=3,
        )
