"""Training, from the images to the registered bundle."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession

from contract.data.datasets import Dataset
from contract.errors import DataError
from contract.model import bundle
from contract.model.bundle import Bundle, Golden
from contract.model.scaling import Scaling
from contract.settings.programs import Training
from keras2dml import Keras2DML
from keras2dml.fitting import Iteration
from training import plots
from training.evaluation import Evaluation
from training.model import lenet
from training.quantization import CALIBRATION, quantize

Report = Callable[[int, Sequence[Iteration]], None]
"""Called while training runs, with the number of iterations planned and those done since."""

GOLDEN = 1_000
"""Images in the golden set: the first ones that were held out."""

PACKAGES = ("keras", "numpy", "onnx", "pyspark", "scikit-learn", "systemds")


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained and registered model: its version, how good it is, and how long it took."""

    version: str
    evaluation: Evaluation
    seconds: float
    images_per_s: float
    history: dict[str, list[float]] = field(repr=False)


def fit(
    settings: Training, spark: SparkSession, history: Dataset, held_out: Dataset, report: Report
) -> TrainingResult:
    """Train LeNet on the images of `history`, evaluate it on those `held_out`, and register the
    bundle; it is not promoted.

    Raises DataError if the two do not belong together, and RegistryUnavailable.
    """
    classes = _classes(history, held_out)
    settings.registry.check_writable()
    scaling = Scaling.fit(history.images, settings.invert)
    model = lenet(history.shape, classes, settings.seed)
    fitted = Keras2DML(spark, model, batch_size=settings.batch_size, display=0, seed=settings.seed)
    began = time.monotonic()
    planned = settings.epochs * -(-len(history.images) // settings.batch_size)
    fitted.fit(
        scaling.apply(history.images),
        history.labels,
        epochs=settings.epochs,
        validation_data=(scaling.apply(held_out.images), held_out.labels),
        report=lambda iterations: report(planned, iterations),
    )
    seconds = time.monotonic() - began
    probabilities = fitted.predict_proba(scaling.apply(held_out.images))
    evaluation = Evaluation.of(probabilities, held_out.labels)
    parameters = {
        "network": model.name,
        "data": history.name,
        "images": len(history.images),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "optimizer": model.optimizer.name,
        "learning_rate": float(model.optimizer.learning_rate),
    }
    registry = settings.registry
    with tempfile.TemporaryDirectory(prefix="digitstream-bundle-") as folder:
        made = _bundle(Path(folder), settings, fitted, history, held_out, scaling, evaluation)
        number = registry.register(made, parameters=parameters, history=_by_epoch(fitted.history))
    images = settings.epochs * len(history.images)
    return TrainingResult(number, evaluation, seconds, images / seconds, fitted.history)


def _classes(history: Dataset, held_out: Dataset) -> int:
    """The number of classes, which both sets have, as their images have one shape."""
    if history.shape != held_out.shape:
        message = (
            f"The training images are {history.shape}, those held out {held_out.shape}. Both must "
            f"have one shape: give one data set's two parts."
        )
        raise DataError(message)
    if history.sha256 == held_out.sha256:
        message = (
            f"The images held out of {history.name} are the same as those for training. A model is "
            f"evaluated on images that it has not seen: give the data set a train and a test part."
        )
        raise DataError(message)
    classes = int(history.labels.max()) + 1
    if int(held_out.labels.max()) >= classes:
        message = (
            f"The images held out have the label {held_out.labels.max()}, those for training none "
            f"above {classes - 1}. Every class must be trained: give training images of it."
        )
        raise DataError(message)
    return classes


def _bundle(
    folder: Path,
    settings: Training,
    fitted: Keras2DML,
    history: Dataset,
    held_out: Dataset,
    scaling: Scaling,
    evaluation: Evaluation,
) -> Bundle:
    """The bundle of a fitted model, written into `folder`."""
    fitted.save_compiled(folder / bundle.DML)
    fitted.to_onnx(folder / bundle.ONNX)
    pictures = folder / bundle.PLOTS
    pictures.mkdir()
    plots.learning_curve(fitted.history, pictures / plots.LEARNING_CURVE)
    plots.confusion(evaluation.confusion, list(fitted.classes_), pictures / plots.CONFUSION_MATRIX)
    quantize(
        folder / bundle.ONNX, folder / bundle.INT8, scaling.apply(history.images[:CALIBRATION])
    )
    golden = held_out.images[:GOLDEN]
    probabilities = fitted.predict_proba(scaling.apply(golden)).astype(np.float32)
    labels = np.searchsorted(fitted.classes_, held_out.labels[:GOLDEN])
    return bundle.write(
        folder,
        name=settings.registry.model,
        input_shape=history.shape,
        classes=[int(label) for label in fitted.classes_],
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
