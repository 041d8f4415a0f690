"""The model: LeNet, for images of any shape and any number of classes."""

from __future__ import annotations

import keras
from keras import layers

from contract.wire.images import Shape


def lenet(shape: Shape, classes: int, seed: int) -> keras.Model:
    """LeNet for images of `shape` (H, W, C), compiled; `seed` determines its initial weights."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ],
        name="lenet",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
