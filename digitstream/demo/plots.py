"""The report's plots, drawn without a display."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from digitstream.demo.report import Report
from digitstream.grid import escaped
from training.plots import (
    CONFUSION_MATRIX,
    DPI,
    LEARNING_CURVE,
    plot_confusion,
    plot_learning_curve,
)

LATENCY = "latency.png"
BINS = 60


def draw(report: Report, folder: Path) -> list[Path]:
    """Write plots of the learning curve, the confusion matrix and the latencies; returns the files.

    Leaves out plots without data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in (LEARNING_CURVE, CONFUSION_MATRIX, LATENCY)]
    for file in files:
        file.unlink(missing_ok=True)  # of an earlier run
    plot_learning_curve(report.training["history"], files[0])
    if report.confusion.any():
        names = [escaped(str(name)) for name in report.classes]
        plot_confusion(report.confusion, names, files[1])
    if len(report.scores.latency_ms):
        _latencies(report, files[2])
    return [file for file in files if file.exists()]


def _latencies(report: Report, path: Path) -> None:
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.hist(report.scores.latency_ms, bins=BINS, color="tab:blue", alpha=0.8)
    for percent, style in ((50, "-"), (95, "--"), (99, ":")):
        value = report.latency(percent)
        axes.axvline(value, color="black", linestyle=style, label=f"p{percent} {value:.0f} ms")
    to = "arrival in Kafka" if report.scores.by_broker else "sending to Kafka"
    axes.set(xlabel=f"milliseconds from the device's clock to the score's {to}", ylabel="readings")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=DPI)
