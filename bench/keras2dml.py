"""Compares keras2dml with SystemDS' own LeNet and with Keras on TensorFlow:
`python -m bench.keras2dml MNIST OUT`.

MNIST is the folder of its four IDX files; the results are OUT/keras2dml.json and OUT/keras2dml.png.
Each round runs all three in turn on the same rows, so that other load on the machine affects them
equally; the first round is the warm-up.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
from matplotlib.figure import Figure
from rich.console import Console

from bench.mnist import lenet
from contract.data import datasets
from keras2dml import Keras2DML, spark_session
from keras2dml.compilation import Compilation
from keras2dml.estimators.scorer import CompiledModel
from keras2dml.rendering.forward import Script
from keras2dml.systemds import blas
from keras2dml.systemds.context import SystemDS

ROUNDS, BATCH = 4, 64  # as in SystemDS' example
LARGE, PREDICTION_BATCH = 250, 1_000  # larger batches, for Keras and for us
TRAIN_ROWS, SCORE_ROWS = 50 * BATCH, 4_000
LATENCIES = (100, 10)
EXAMPLE = 'source("nn/examples/mnist_lenet.dml") as lenet\n'
WEIGHTS = ("W1", "b1", "W2", "b2", "W3", "b3", "W4", "b4")
TRAIN = f"{EXAMPLE}[{', '.join(WEIGHTS)}] = lenet::train(X, Y, X_val, Y_val, 1, 28, 28, 1)\n"
PREDICT = f"{EXAMPLE}P = lenet::predict(X, 1, 28, 28, {', '.join(WEIGHTS)})\n"

COLOURS = {
    "keras2dml": "#1f6f8b",
    "SystemDS' example": "#99a8b2",
    "Keras, TensorFlow": "#c9b79c",
}

Round = Callable[[], object]


def main(mnist: Path, out: Path) -> dict[str, Any]:
    """Measure, write the figures and the plot, and return the figures."""
    images = datasets.read(str(mnist), "train")
    X = images.images[:SCORE_ROWS].reshape(SCORE_ROWS, -1) / 255.0
    y = images.labels[:SCORE_ROWS]
    spark = spark_session()
    figures: dict[str, Any] = {"compile_s": _time_compiling()}
    example, score_example = _example(spark, X, y)
    ours = {size: Keras2DML(spark, _model(), batch_size=size, display=0) for size in (BATCH, LARGE)}
    train: dict[int, dict[str, Round]] = {
        size: {"keras2dml": _ours(model, X, y), "Keras, TensorFlow": _keras(X, y, size)}
        for size, model in ours.items()
    }
    train[BATCH]["SystemDS' example"] = example
    scorer = ours[BATCH]
    score: dict[str, Round] = {
        "keras2dml": partial(scorer.predict_proba, X),
        "SystemDS' example": score_example,
        "Keras, TensorFlow": _keras_score(X),
    }
    figures["images_per_s"] = {
        **{
            f"training, batches of {size}": _run_interleaved(rounds, TRAIN_ROWS)
            for size, rounds in train.items()
        },
        "prediction": _run_interleaved(score, SCORE_ROWS),
    }
    figures["latency_ms"] = {
        str(rows): 1000 * _median(partial(scorer.predict_proba, X[:rows]), 50) for rows in LATENCIES
    }
    figures["blas"] = blas.detect().detail
    figures["peak_resident_mb"] = _memory()
    out.mkdir(parents=True, exist_ok=True)
    (out / "keras2dml.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
    _plot(figures, out / "keras2dml.png")
    return figures


def _ours(model: Keras2DML, X: np.ndarray, y: np.ndarray) -> Round:
    return lambda: model.fit(X[:TRAIN_ROWS], y[:TRAIN_ROWS], epochs=1, shuffle=False)


def _example(spark: Any, X: np.ndarray, y: np.ndarray) -> tuple[Round, Round]:
    systemds = SystemDS(spark)
    one_hot = np.eye(10)[y]
    arrays = {
        "X": X[:TRAIN_ROWS],
        "Y": one_hot[:TRAIN_ROWS],
        "X_val": X[:BATCH],
        "Y_val": one_hot[:BATCH],
    }
    matrices = {name: systemds.matrix(array) for name, array in arrays.items()}
    weights: dict[str, Any] = {}

    def train() -> None:
        weights.update(systemds.run(Script(TRAIN, tuple(matrices), WEIGHTS), matrices))

    def score() -> None:
        with systemds.holding({"X": X}) as rows:
            systemds.compute(Script(PREDICT, ("X", *WEIGHTS), ("P",)), {**rows, **weights})

    return train, score


def _keras(X: np.ndarray, y: np.ndarray, batch_size: int) -> Round:
    model, images = _model(), _images(X[:TRAIN_ROWS])
    return lambda: model.fit(images, y[:TRAIN_ROWS], batch_size=batch_size, verbose=0)


def _keras_score(X: np.ndarray) -> Round:
    model, images = _model(), _images(X)
    return lambda: model.predict(images, batch_size=PREDICTION_BATCH, verbose=0)


def _images(X: np.ndarray) -> np.ndarray:
    return X.reshape(-1, 28, 28, 1).astype(np.float32)


def _model() -> keras.Model:
    """LeNet with the example's optimizer."""
    model = lenet()
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _run_interleaved(rounds: Mapping[str, Round], rows: int) -> dict[str, dict[str, float]]:
    """Images/s by name, in the first round and in the median of the others."""
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(ROUNDS):
        for name, run in rounds.items():
            times[name].append(_seconds(run))
    return {
        name: {
            "warm_up": round(rows / seconds[0], 1),
            "steady": round(rows / statistics.median(seconds[1:]), 1),
        }
        for name, seconds in times.items()
    }


def _time_compiling() -> dict[str, float]:
    """Seconds to compile models, including their scripts."""

    def compile_all(model: keras.Model) -> None:
        compilation = Compilation.of(model)
        compilation.training_script()
        CompiledModel.of(compilation.graph, compilation.weights())

    resnet = keras.applications.ResNet50(weights=None, classes=10)
    return {
        "LeNet": _median(lambda: compile_all(_model()), 5),
        "ResNet50": _median(lambda: compile_all(resnet), 3),
    }


def _memory() -> dict[str, float]:
    """Peak resident memory of this process and its JVM, in MB."""
    process = psutil.Process()
    jvm = next(child for child in process.children(recursive=True) if child.name() == "java")
    return {"python": _peak(process), "jvm": _peak(jvm)}


def _peak(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) // 1024


def _seconds(run: Round) -> float:
    start = time.monotonic()
    run()
    return time.monotonic() - start


def _median(run: Round, times: int) -> float:
    run()
    return round(statistics.median(_seconds(run) for _ in range(times)), 4)


def _plot(figures: Mapping[str, Any], file: Path) -> None:
    panels = figures["images_per_s"]
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    for axis, (title, rates) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        names = [name for name in COLOURS if name in rates]
        steady = [rates[name]["steady"] for name in names]
        bars = axis.barh(names, steady, color=[COLOURS[name] for name in names])
        axis.bar_label(bars, fmt="{:,.0f}", padding=3)
        axis.set_title(f"LeNet, {title}", fontsize=10)
        axis.set_xlabel("images/s")
        axis.invert_yaxis()
        axis.set_xlim(right=max(steady) * 1.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    Console().print_json(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
