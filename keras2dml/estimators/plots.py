"""Pictures of a training and of what a model confuses; Matplotlib draws them."""

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
    """Draw each measure over the epochs, with that of the validation beside it: an array of
    Matplotlib's Axes, one for each measure. `epochs` are those that were trained, counted from 1,
    and `validated` those after which the validation was measured; else they are the first ones.

    Raises NotFitted where there is nothing to draw.
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
    """Draw how often each class (rows) was predicted as each (columns): scikit-learn's
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
