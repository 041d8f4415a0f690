"""Plots of the training history and of confusion matrices, with Matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from keras2dml.errors import InvalidData, NotFitted

VALIDATION = "val_"


def plot_history(
    history: Mapping[str, Sequence[Any]],
    epochs: Sequence[float] = (),
    validated: Sequence[float] = (),
) -> Any:
    """Plot each metric over the epochs, with the validation metric: returns an array of Matplotlib
    Axes, one for each metric. `epochs` are the trained epochs, from 1, and `validated` those after
    which the validation was measured; by default the first ones.

    Raises NotFitted if there is nothing to plot.
    """
    if not history:
        message = "There is no history to draw: call fit() first."
        raise NotFitted(message)
    names = list(dict.fromkeys(name.removeprefix(VALIDATION) for name in history))
    figure, axes = _import("matplotlib.pyplot").subplots(
        1, len(names), figsize=(4 * len(names), 3), squeeze=False, layout="constrained"
    )
    for name, area in zip(names, axes[0], strict=True):
        for key, label in ((name, "training"), (VALIDATION + name, "validation")):
            if key in history:
                places = epochs if key == name else validated
                if len(places) != len(history[key]):
                    places = range(1, len(history[key]) + 1)
                area.plot(places, history[key], label=label)
        area.set(title=name, xlabel="epoch")
        area.legend()
    figure.align_labels()
    return axes[0]


def plot_confusion(labels: Any, predictions: Any, classes: Any) -> Any:
    """Plot how often each class (rows) was predicted as each class (columns): scikit-learn's
    ConfusionMatrixDisplay, whose `confusion_matrix` has the counts.
    """
    _import("matplotlib.pyplot")
    display = _import("sklearn.metrics").ConfusionMatrixDisplay
    return display.from_predictions(labels, predictions, labels=classes, colorbar=False)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        message = f"{name} is not installed, which draws: pip install 'keras2dml[plots]'"
        raise InvalidData(message) from error
