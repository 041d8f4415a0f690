"""Caffe2DML: a solver and a network of Caffe as an estimator."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from keras2dml.caffe import losses, readers  # noqa: F401  (Network learns from them)
from keras2dml.caffe.network import Network
from keras2dml.caffe.solver import Solver
from keras2dml.errors import UnsupportedModel
from keras2dml.estimator import Keras2DML


class Caffe2DML(Keras2DML):
    """A network of Caffe, read as a Keras model with its channels first, with the optimizer of a
    solver. Everything else is as with Keras2DML; `to_keras()` makes the Keras model.
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
        of learned weights; `fit` writes its weights to the folder `weights`.

        Raises UnsupportedModel with all complaints at once, InvalidData and InvalidSession.
        """
        described = Solver.read(Path(solver))
        network = Network.read(described.net, tuple(input_shape), described.decay)
        complaints = described.complaints()
        if complaints:
            raise UnsupportedModel(described.path.name, complaints)
        own, model = described.message, network.model()
        model.compile(
            described.optimizer(network.factors),
            loss=network.loss or "sparse_categorical_crossentropy",
            loss_weights=network.loss_weight,
            metrics=["accuracy"] if network.classifies else None,
        )
        if caffemodel is not None:
            network.load(Path(caffemodel))
        super().__init__(
            spark,
            model,
            weights=weights,
            batch_size=batch_size or network.batch_size or 64,
            max_iter=max(own.max_iter, 1) * max(own.iter_size, 1),
            test_iter=described.test_iter,
            test_interval=own.test_interval,
            display=own.display,
            seed=own.random_seed if own.random_seed >= 0 else seed,
        )
        self.solver, self.input_shape, self.caffemodel = solver, input_shape, caffemodel
