"""Compares keras2dml with Keras on TensorFlow, in one run: `python -m bench.keras2dml OUT`.

Each round runs all in turn on the same rows, so that other load on the machine affects them
equally; the first round is the warm-up, and the medians of the others count. Writes
OUT/benchmarks.md, OUT/benchmarks.png and OUT/benchmarks.json.
"""

from __future__ import annotations

import json
import os
import platform
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
from pyspark.sql import SparkSession

from bench import systemds_example
from bench.networks import CASES, Case
from keras2dml import Keras2DML, spark_session
from keras2dml.compilation import Compilation
from keras2dml.estimators.scorer import CompiledModel
from keras2dml.kernels import installed

ROUNDS, SCORE_ROWS, PREDICTION_BATCH, LATENCIES = 8, 1_000, 1_000, (100, 10)
KERAS, OURS, DOUBLE = "Keras, TensorFlow", "keras2dml", "keras2dml, float64"
DML = "keras2dml, SystemDS' operators"
EXAMPLE = "SystemDS' example"
SLOW_SHARE = 8
"""SystemDS' own operators get one row of so many."""

COLOURS = {OURS: "#1f6f8b", DOUBLE: "#7fb3c4", DML: "#99a8b2", EXAMPLE: "#c2ccd2", KERAS: "#c9b79c"}

Round = Callable[[], object]
Rates = dict[str, dict[str, float]]


def main(out: Path) -> dict[str, Any]:
    """Measure, write the figures, the page and the plot, and return the figures."""
    spark = spark_session()
    figures: dict[str, Any] = {
        "machine": _machine(),
        "kernels": installed.describe(),
        "compile_s": _time_compiling(),
        "rows_per_s": {name: _case(spark, case) for name, case in CASES.items()},
        "latency_ms": _latency(spark),
    }
    figures["peak_resident_mb"] = _memory()
    jvm: Any = spark._jvm
    figures["gflops"] = dict(jvm.keras2dml.kernels.float32.Speed.measure())
    out.mkdir(parents=True, exist_ok=True)
    (out / "benchmarks.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
    (out / "benchmarks.md").write_text(page(figures), encoding="utf-8")
    _plot(figures["rows_per_s"], out / "benchmarks.png")
    return figures


def _case(spark: SparkSession, case: Case) -> dict[str, Rates]:
    """Rows/s of each kind of work, by name."""
    X, y = case.rows(64 * case.steps)
    rates = {
        f"training, batches of {size}": _train(spark, case, X, y, size) for size in case.batches
    }
    scored = X[:SCORE_ROWS]
    ours = _estimators(spark, case, PREDICTION_BATCH)
    rounds: dict[str, tuple[Round, int]] = {
        name: (partial(model.predict_proba, scored), len(scored)) for name, model in ours.items()
    }
    model = case.model()
    predict = partial(model.predict, scored, batch_size=PREDICTION_BATCH, verbose=0)
    rounds[KERAS] = predict, len(scored)
    return {**rates, "prediction, 1,000 rows": _run_interleaved(rounds)}


def _train(spark: SparkSession, case: Case, X: np.ndarray, y: np.ndarray, size: int) -> Rates:
    rounds: dict[str, tuple[Round, int]] = {}
    for name, model in _estimators(spark, case, size).items():
        rows = max(size, len(X) // SLOW_SHARE) if name == DML else len(X)
        fit = partial(model.fit, X[:rows], y[:rows], epochs=1, shuffle=False)
        rounds[name] = fit, rows
    if case is CASES["LeNet"] and size == systemds_example.BATCH:
        few = X[: len(X) // SLOW_SHARE], y[: len(X) // SLOW_SHARE]
        rounds[EXAMPLE] = systemds_example.training(spark, *few), len(few[0])
    model = case.model()
    fit = partial(model.fit, X, y, batch_size=size, epochs=1, shuffle=False, verbose=0)
    rounds[KERAS] = fit, len(X)
    return _run_interleaved(rounds)


def _estimators(spark: SparkSession, case: Case, size: int) -> dict[str, Keras2DML]:
    kinds: dict[str, dict[str, Any]] = {OURS: {}, DOUBLE: {"precision": "float64"}, DML: {}}
    models = {
        name: Keras2DML(spark, case.model(), batch_size=size, display=0, **arguments)
        for name, arguments in kinds.items()
    }
    models[DML]._set_option(kernels=False)
    return models


def _run_interleaved(rounds: Mapping[str, tuple[Round, int]]) -> Rates:
    """Rows/s by name, in the first round and in the median of the others."""
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(ROUNDS):
        for name, (run, _rows) in rounds.items():
            times[name].append(_seconds(run))
    return {
        name: {
            "warm_up": round(rows / times[name][0], 1),
            "steady": round(rows / statistics.median(times[name][1:]), 1),
        }
        for name, (_run, rows) in rounds.items()
    }


def _latency(spark: SparkSession) -> dict[str, float]:
    """Milliseconds from rows of NumPy to probabilities, by the number of rows."""
    case = CASES["LeNet"]
    X, _ = case.rows(max(LATENCIES))
    model = Keras2DML(spark, case.model(), display=0)
    return {
        str(rows): round(1000 * _median(partial(model.predict_proba, X[:rows]), 50), 1)
        for rows in LATENCIES
    }


def _time_compiling() -> dict[str, float]:
    """Seconds to compile models, including their scripts."""

    def compile_all(model: keras.Model) -> None:
        compilation = Compilation.of(model)
        compilation.training_script()
        CompiledModel.of(compilation.graph, compilation.weights())

    resnet = keras.applications.ResNet50(weights=None, classes=10)
    return {
        "LeNet": _median(lambda: compile_all(CASES["LeNet"].model()), 5),
        "ResNet50": _median(lambda: compile_all(resnet), 3),
    }


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor()
    return f"{os.cpu_count()} CPUs of {name}"


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


def page(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "# Benchmarks of keras2dml",
        "",
        "Rows/s, medians of seven rounds, interleaved with Keras on TensorFlow in one run of"
        f" `python -m bench.keras2dml OUT` on {figures['machine']}. In parentheses is the ratio to"
        " Keras, which is what can be compared between machines.",
        "",
        f"| | {' | '.join(COLOURS)} |",
        f"|---|{'---|' * len(COLOURS)}",
    ]
    for name, kinds in figures["rows_per_s"].items():
        for kind, rates in kinds.items():
            keras_rate = rates[KERAS]["steady"]
            cells = (
                f"{rates[column]['steady']:,.0f} ({rates[column]['steady'] / keras_rate:.2f})"
                if column in rates
                else "-"
                for column in COLOURS
            )
            lines.append(f"| {name}, {kind} | {' | '.join(cells)} |")
    latency = ", ".join(f"{rows} rows {time:g} ms" for rows, time in figures["latency_ms"].items())
    compiling = ", ".join(f"{name} {time:g} s" for name, time in figures["compile_s"].items())
    peak = figures["gflops"]["peak"]
    lines += [
        "",
        "![Rows per second by model](benchmarks.png)",
        "",
        f"LeNet scored end to end: {latency}. Compiled to DML: {compiling}. Peak memory:"
        f" {figures['peak_resident_mb']['jvm']:,} MB of the JVM,"
        f" {figures['peak_resident_mb']['python']:,} MB of Python with Keras.",
        "",
        "## Kernels",
        "",
        f"GFLOP/s of float32 on all threads, batches of 64. A loop of multiplications and additions"
        f" in registers reaches {peak:.0f} on one thread.",
        "",
        "| | GFLOP/s | share of one thread's peak |",
        "|---|---|---|",
        *(
            f"| {name} | {rate:.0f} | {rate / peak:.0%} |"
            for name, rate in figures["gflops"].items()
            if name != "peak"
        ),
        "",
    ]
    return "\n".join(lines)


def _plot(models: Mapping[str, Mapping[str, Rates]], file: Path) -> None:
    panels = [
        (name, kind, rates) for name, kinds in models.items() for kind, rates in kinds.items()
    ]
    figure = Figure(figsize=(11, 1.3 * len(panels)), layout="constrained")
    for axis, (name, kind, rates) in zip(figure.subplots(len(panels)), panels, strict=True):
        names = [column for column in COLOURS if column in rates]
        steady = [rates[column]["steady"] for column in names]
        bars = axis.barh(names, steady, color=[COLOURS[column] for column in names])
        axis.bar_label(bars, fmt="{:,.0f}", padding=3)
        axis.set_title(f"{name}, {kind}: rows/s", fontsize=10, loc="left")
        axis.invert_yaxis()
        axis.set_xlim(right=max(steady) * 1.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
