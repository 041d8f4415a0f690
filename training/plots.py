"""Plots of a training, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

LEARNING_CURVE = "learning-curve.png"
CONFUSION_MATRIX = "confusion-matrix.png"
DPI = 120
LONGEST_LABEL = 20
"""Maximum number of characters of a class name in a plot."""


def plot_learning_curve(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Plot loss and accuracy by epoch, for training and test images."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "held out")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], marker="o", label=label)
        axes.set(xlabel="epoch", ylabel=name, xticks=range(1, len(history[name]) + 1))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=DPI)


def plot_confusion(matrix: NDArray[np.int64], classes: Sequence[object], path: Path) -> None:
    """Plot how often each true class (row) was predicted as each class (column); errors in
    colour.
    """
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.subplots()
    errors = matrix - np.diag(np.diag(matrix))
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, int(errors.max(initial=0)) * 2))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            weight = "bold" if row == column else "normal"
            axes.text(column, row, str(count), ha="center", va="center", weight=weight, size=8)
    ticks = range(len(classes))
    axes.set(xlabel="predicted", ylabel="true", xticks=ticks, yticks=ticks)
    labels = [str(name)[:LONGEST_LABEL] for name in classes]
    axes.set_xticklabels(labels, parse_math=False)
    axes.set_yticklabels(labels, parse_math=False)
    figure.savefig(path, dpi=DPI)
