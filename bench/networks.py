"""The models that keras2dml is measured with beside Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from bench.mnist import lenet


@dataclass(frozen=True)
class Case:
    """A model without its optimizer, the shape of an example, and what a round trains on."""

    build: Callable[[], keras.Model]
    shape: tuple[int, ...]
    batches: tuple[int, ...] = (64,)
    steps: int = 40
    """Steps of a round, in batches of 64 rows."""

    def model(self) -> keras.Model:
        """The model, compiled as SystemDS' example trains its LeNet."""
        keras.utils.set_random_seed(1)
        model = self.build()
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def rows(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Random examples, and classes."""
        rng = np.random.default_rng(1)
        return rng.random((count, *self.shape), np.float32), rng.integers(0, 10, count)


def mlp() -> keras.Model:
    """784-512-256-10."""
    hidden = [layers.Dense(size, activation="relu") for size in (512, 256)]
    return keras.Sequential([layers.Input((784,)), *hidden, _head()])


def lstm() -> keras.Model:
    """28 steps of 28 numbers, 128 units."""
    return keras.Sequential([layers.Input((28, 28)), layers.LSTM(128), _head()])


def resnet8() -> keras.Model:
    """Three stages of 16, 32 and 64 channels."""
    images = layers.Input((32, 32, 3))
    x = layers.Activation("relu")(_convolution(images, 16, 3))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        inner = layers.Activation("relu")(_convolution(x, channels, 3, stride))
        inner = _convolution(inner, channels, 3)
        if stride > 1:
            x = layers.Conv2D(channels, 1, strides=stride, use_bias=False)(x)
        x = layers.Activation("relu")(layers.Add()([x, inner]))
    return keras.Model(images, _head()(layers.GlobalAveragePooling2D()(x)))


def _convolution(x: object, channels: int, size: int, stride: int = 1) -> object:
    x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def _head() -> keras.Layer:
    return layers.Dense(10, activation="softmax")


CASES = {
    "LeNet": Case(lenet, (28, 28, 1), (64, 100, 250, 500)),
    "MLP 784-512-256-10": Case(mlp, (784,), steps=300),
    "LSTM 28 x 28, 128 units": Case(lstm, (28, 28)),
    "ResNet-8, 32 x 32": Case(resnet8, (32, 32, 3), steps=20),
}
