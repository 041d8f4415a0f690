"""keras2dml beside SystemDS' own LeNet and beside Keras with TensorFlow, in one run:
`python -m bench.keras2dml MNIST OUT`.

MNIST is the folder of its four IDX files; OUT gets `keras2dml.json` and `keras2dml.png`. Each
round runs all three one after another on the same rows, so that whatever else the machine does
meets them alike; the first round is the warm-up.
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
from contract import datasets
from keras2dml import Keras2DML, spark_session
from keras2dml.compilation import Compilation
from keras2dml.rendering import Script
from keras2dml.scorer import CompiledModel
from keras2dml.systemds import SystemDS

ROUNDS, BATCH = 4, 64  # what SystemDS' example has
TRAINED, SCORED = 50 * BATCH, 4_000
LATENCIES = (100, 10)
EXAMPLE = 'source("nn/examples/mnist_lenet.dml") as lenet\n'
WEIGHTS = ("W1", "b1", "W2", "b2", "W3", "b3", "W4", "b4")
TRAIN = f"{EXAMPLE}[{', '.join(WEIGHTS)}] = lenet::train(X, Y, X_val, Y_val, 1, 28, 28, 1)\n"
PREDICT = f"{EXAMPLE}P = lenet::predict(X, 1, 28, 28, {', '.join(WEIGHTS)})\n"

Round = Callable[[], object]


def main(mnist: Path, out: Path) -> dict[str, Any]:
    """Measure, write the figures and the plot, and return the figures."""
    images = datasets.read(str(mnist), "train")
    X = images.images[:SCORED].reshape(SCORED, -1) / 255.0
    y = images.labels[:SCORED]
    spark = spark_session()
    figures: dict[str, Any] = {"compile_s": _compiled()}
    ours, example, theirs = _ours(spark, X, y), _example(spark, X, y), _keras(X, y)
    for number, kind in enumerate(("train", "score")):
        rows = (TRAINED, SCORED)[number]
        rounds = {
            "keras2dml": ours[number],
            "SystemDS' example": example[number],
            "Keras, TensorFlow": theirs[number],
        }
        figures[f"{kind}_images_per_s"] = _interleaved(rounds, rows)
    scorer = Keras2DML(spark, lenet())
    figures["latency_ms"] = {
        str(rows): 1000 * _median(partial(scorer.predict_proba, X[:rows]), 20) for rows in LATENCIES
    }
    figures["resident_mb"] = _memory()
    out.mkdir(parents=True, exist_ok=True)
    (out / "keras2dml.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
    _plot(figures, out / "keras2dml.png")
    return figures


def _ours(spark: Any, X: np.ndarray, y: np.ndarray) -> tuple[Round, Round]:
    model = Keras2DML(spark, _model(), batch_size=BATCH, max_iter=TRAINED // BATCH, display=0)
    return lambda: model.fit(X[:TRAINED], y[:TRAINED]), lambda: model.predict_proba(X)


def _example(spark: Any, X: np.ndarray, y: np.ndarray) -> tuple[Round, Round]:
    systemds = SystemDS(spark)
    one_hot = np.eye(10)[y]
    given = {"X": X[:TRAINED], "Y": one_hot[:TRAINED], "X_val": X[:BATCH], "Y_val": one_hot[:BATCH]}
    held = {name: systemds.matrix(array) for name, array in given.items()}
    weights: dict[str, Any] = {}

    def train() -> None:
        weights.update(systemds.run(Script(TRAIN, tuple(held), WEIGHTS), held))

    def score() -> None:
        with systemds.holding({"X": X}) as rows:
            systemds.computed(Script(PREDICT, ("X", *WEIGHTS), ("P",)), {**rows, **weights})

    return train, score


def _keras(X: np.ndarray, y: np.ndarray) -> tuple[Round, Round]:
    model, images = _model(), X.reshape(-1, 28, 28, 1).astype(np.float32)
    return (
        lambda: model.fit(images[:TRAINED], y[:TRAINED], batch_size=BATCH, verbose=0),
        lambda: model.predict(images, batch_size=1_000, verbose=0),
    )


def _model() -> keras.Model:
    """LeNet with the example's optimizer."""
    model = lenet()
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _interleaved(rounds: Mapping[str, Round], rows: int) -> dict[str, dict[str, float]]:
    """Images/s of each: of the first round, and of the others."""
    taken: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(ROUNDS):
        for name, run in rounds.items():
            taken[name].append(_seconds(run))
    return {
        name: {
            "warm_up": round(rows / seconds[0], 1),
            "steady": round(rows / statistics.median(seconds[1:]), 1),
        }
        for name, seconds in taken.items()
    }


def _compiled() -> dict[str, float]:
    """How long compiling takes, scripts included."""

    def whole(model: keras.Model) -> None:
        compilation = Compilation.of(model)
        compilation.training_script()
        CompiledModel.of(compilation.graph, compilation.weights())

    resnet = keras.applications.ResNet50(weights=None, classes=10)
    return {
        "LeNet": _median(lambda: whole(_model()), 5),
        "ResNet50": _median(lambda: whole(resnet), 3),
    }


def _memory() -> dict[str, float]:
    """What this process and its JVM hold."""
    own = psutil.Process()
    children = sum(child.memory_info().rss for child in own.children(recursive=True))
    return {"python": own.memory_info().rss / 1e6, "jvm": children / 1e6}


def _seconds(run: Round) -> float:
    began = time.monotonic()
    run()
    return time.monotonic() - began


def _median(run: Round, times: int) -> float:
    run()
    return round(statistics.median(_seconds(run) for _ in range(times)), 4)


def _plot(figures: Mapping[str, Any], file: Path) -> None:
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for axis, kind in zip(figure.subplots(1, 2), ("train", "score"), strict=True):
        found = figures[f"{kind}_images_per_s"]
        steady = [values["steady"] for values in found.values()]
        bars = axis.barh(list(found), steady, color=["#1f6f8b", "#99a8b2", "#c9b79c"])
        axis.bar_label(bars, fmt="{:,.0f}", padding=3)
        axis.set_title(f"LeNet, {'training' if kind == 'train' else 'prediction'}: images/s")
        axis.invert_yaxis()
        axis.set_xlim(right=max(steady) * 1.2)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    Console().print_json(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
