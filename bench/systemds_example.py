"""SystemDS' own LeNet, `nn/examples/mnist_lenet.dml`, whose steps are of 64 rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from keras2dml.rendering.forward import Script
from keras2dml.systemds.context import SystemDS

BATCH = 64
_SOURCE = 'source("nn/examples/mnist_lenet.dml") as lenet\n'
_WEIGHTS = ("W1", "b1", "W2", "b2", "W3", "b3", "W4", "b4")
_TRAIN = f"{_SOURCE}[{', '.join(_WEIGHTS)}] = lenet::train(X, Y, X_val, Y_val, 1, 28, 28, 1)\n"


def training(spark: SparkSession, X: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """A call that trains an epoch on images and their classes."""
    systemds = SystemDS(spark)
    rows, targets = X.reshape(len(X), -1).astype(float), np.eye(10)[y]
    arrays = {"X": rows, "Y": targets, "X_val": rows[:BATCH], "Y_val": targets[:BATCH]}
    matrices: dict[str, Any] = {name: systemds.matrix(array) for name, array in arrays.items()}
    return lambda: systemds.run(Script(_TRAIN, tuple(matrices), _WEIGHTS), matrices)
