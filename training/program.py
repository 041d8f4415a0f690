"""The training program, from images to a registered bundle."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import SparkSession

from contract.data.datasets import Dataset
from contract.errors import DataError
from contract.model import bundle
from contract.model.bundle import Bundle, Golden
from contract.model.scaling import Scaling
from contract.settings.programs import Training
from keras2dml import Keras2DML
from keras2dml.training.steps import Iteration
from training import plots
from training.evaluation import Evaluation
from training.model import lenet
from training.quantization import CALIBRATION, quantize

if TYPE_CHECKING:
    import keras

Report = Callable[[int, Sequence[Iteration]], None]
"""Called during training with the planned number of iterations and the iterations since the last
call."""

GOLDEN = 1_000
"""Number of images in the golden set: the first test images."""

PACKAGES = ("keras", "numpy", "onnx", "pyspark", "scikit-learn", "systemds")


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained and registered model: its version, its evaluation, and the training time."""

    version: str
    evaluation: Evaluation
    seconds: float
    images_per_s: float
    history: dict[str, list[float]] = field(repr=False)


def fit(
    settings: Training, spark: SparkSession, history: Dataset, test: Dataset, report: Report
) -> TrainingResult:
    """Train LeNet on the images of `history`, evaluate it on those of `test`, and register the
    bundle, without promoting it.

    Raises DataError if the two data sets do not fit together, and RegistryUnavailable.
    """
    classes = _class_count(history, test)
    settings.registry.check_writable()
    scaling = Scaling.fit(history.images, settings.invert)
    model = lenet(history.shape, classes, settings.seed)
    estimator = Keras2DML(
        spark, model, batch_size=settings.batch_size, display=0, seed=settings.seed
    )
    start = time.monotonic()
    iterations = settings.epochs * -(-len(history.images) // settings.batch_size)
    estimator.fit(
        scaling.apply(history.images),
        history.labels,
        epochs=settings.epochs,
        validation_data=(scaling.apply(test.images), test.labels),
        report=lambda done: report(iterations, done),
    )
    seconds = time.monotonic() - start
    probabilities = estimator.predict_proba(scaling.apply(test.images))
    evaluation = Evaluation.of(probabilities, test.labels)
    with tempfile.TemporaryDirectory(prefix="digitstream-bundle-") as folder:
        trained = _write_bundle(
            Path(folder), settings, estimator, history, test, scaling, evaluation
        )
        number = settings.registry.register(
            trained,
            parameters=_parameters(settings, model, history),
            history=_by_epoch(estimator.history),
        )
    images = settings.epochs * len(history.images)
    return TrainingResult(number, evaluation, seconds, images / seconds, estimator.history)


def _parameters(settings: Training, model: keras.Model, history: Dataset) -> dict[str, object]:
    """The parameters of the training, for the registry."""
    return {
        "network": model.name,
        "data": history.name,
        "images": len(history.images),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "optimizer": model.optimizer.name,
        "learning_rate": float(model.optimizer.learning_rate),
    }


def _class_count(history: Dataset, test: Dataset) -> int:
    """The number of classes; raises DataError unless the data sets fit together."""
    if history.shape != test.shape:
        message = (
            f"The training images are {history.shape}, the test images {test.shape}. Both must "
            f"have the same shape. Use the two parts of one data set."
        )
        raise DataError(message)
    if history.sha256 == test.sha256:
        message = (
            f"The test images of {history.name} are the same as the training images. A model must "
            f"be evaluated on images that it has not seen. Split the data set into train and test."
        )
        raise DataError(message)
    classes = int(history.labels.max()) + 1
    if int(test.labels.max()) >= classes:
        message = (
            f"The test images have the label {test.labels.max()}, the training images none above "
            f"{classes - 1}. Every class must be trained. Add training images of it."
        )
        raise DataError(message)
    return classes


def _write_bundle(
    folder: Path,
    settings: Training,
    estimator: Keras2DML,
    history: Dataset,
    test: Dataset,
    scaling: Scaling,
    evaluation: Evaluation,
) -> Bundle:
    """Write the bundle of a trained model into `folder`."""
    estimator.save_compiled(folder / bundle.DML)
    estimator.to_onnx(folder / bundle.ONNX)
    plot_folder = folder / bundle.PLOTS
    plot_folder.mkdir()
    plots.plot_learning_curve(estimator.history, plot_folder / plots.LEARNING_CURVE)
    plots.plot_confusion(
        evaluation.confusion, list(estimator.classes_), plot_folder / plots.CONFUSION_MATRIX
    )
    quantize(
        folder / bundle.ONNX, folder / bundle.INT8, scaling.apply(history.images[:CALIBRATION])
    )
    golden = test.images[:GOLDEN]
    probabilities = estimator.predict_proba(scaling.apply(golden)).astype(np.float32)
    labels = np.searchsorted(estimator.classes_, test.labels[:GOLDEN])
    return bundle.write(
        folder,
        name=settings.registry.model,
        input_shape=history.shape,
        classes=[int(label) for label in estimator.classes_],
        scaling=scaling,
        versions={package: version(package) for package in PACKAGES},
        data_sha256=history.sha256,
        metrics=evaluation.metrics,
        golden=Golden(golden, probabilities, labels),
        colour=settings.colour,
    )


def _by_epoch(history: dict[str, list[float]]) -> list[dict[str, float]]:
    return [
        dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)
    ]
