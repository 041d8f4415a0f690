"""The DML that each layer becomes, as a reader sees it: forward, loss, backward and update.

`GOLDEN=write python -m pytest tests/keras2dml/rendering/test_golden.py` writes the files again.
"""

from __future__ import annotations

import os
from pathlib import Path

import keras
import pytest
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from oracle import fresh

from keras2dml.compilation import Compilation

GOLDEN = Path(__file__).parents[1] / "golden"
LAYERS = {
    "dense": [Flatten(), Dense(3, activation="tanh")],
    "conv2d": [Conv2D(3, 3, activation="relu"), Flatten()],
    "conv2d-even-kernel": [Conv2D(3, 2, padding="same", use_bias=False), Flatten()],
    "max-pooling2d": [Conv2D(3, 1), MaxPooling2D(), Flatten()],
    "max-pooling2d-overlapping": [Conv2D(3, 1), MaxPooling2D(3, 1, padding="same"), Flatten()],
    "dropout": [Flatten(), Dense(4), Dropout(0.25)],
    "activation": [Flatten(), Dense(4), Activation("sigmoid")],
}


def lowers_to(layers: list[keras.Layer], golden: Path, *, write: bool) -> None:
    """A small model with these layers trains by the golden script; library functions are left
    out.
    """
    last = Dense(2, activation="softmax", name="classes")
    built = keras.Sequential([keras.Input((5, 4, 2)), *layers, last], name=golden.stem)
    text = Compilation.of(built).training_script().text
    statements = text[: text.index("\n\n") + 2] + text[text.index("step = function") :]
    if write:
        golden.write_text(statements, encoding="utf-8")
    assert statements == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LAYERS)
def test_layer_becomes_the_golden_dml(name):
    keras.utils.clear_session()
    layers = [fresh(layer) for layer in LAYERS[name]]
    for number, layer in enumerate(layers):
        layer.name = f"{type(layer).__name__.lower()}_{number}"
    lowers_to(layers, GOLDEN / f"{name}.dml", write=os.environ.get("GOLDEN") == "write")
