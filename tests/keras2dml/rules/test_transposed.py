"""Transposed convolutions and interpolated images score and learn as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras.layers import (
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    UpSampling2D,
)
from oracle import agrees, agrees_and_learns, examples, model, near, seeded

from keras2dml import Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE, SEQUENCE = (4, 3, 2), (5, 2)
FIRST = {"data_format": "channels_first"}
LAYERS = {
    "plain": lambda: Conv2DTranspose(3, (2, 3), activation="tanh"),
    "strides, same": lambda: Conv2DTranspose(3, 3, strides=2, padding="same"),
    "uneven strides, same": lambda: Conv2DTranspose(
        3, (4, 2), strides=(3, 2), padding="same", use_bias=False
    ),
    "strides beyond the kernel": lambda: Conv2DTranspose(3, 2, strides=3),
    "strides beyond the kernel, same": lambda: Conv2DTranspose(3, 2, strides=3, padding="same"),
    "output padding": lambda: Conv2DTranspose(3, 3, strides=3, output_padding=(2, 1)),
    "output padding, same": lambda: Conv2DTranspose(
        3, 3, strides=2, padding="same", output_padding=0
    ),
}
SEQUENCES = {
    "plain": lambda: Conv1DTranspose(3, 2, activation="tanh"),
    "strides, same": lambda: Conv1DTranspose(3, 3, strides=2, padding="same"),
    "even kernel, same": lambda: Conv1DTranspose(3, 4, padding="same", use_bias=False),
    "output padding": lambda: Conv1DTranspose(3, 3, strides=3, output_padding=2),
}


def ends() -> tuple[keras.Layer, ...]:
    return Flatten(), Dense(3, activation="softmax")


def test_transposed_convolutions_are_as_keras(spark):
    images = {f"image, {name}": model(IMAGE, made(), *ends()) for name, made in LAYERS.items()}
    sequences = {
        f"sequence, {name}": model(SEQUENCE, made(), *ends()) for name, made in SEQUENCES.items()
    }
    agrees_and_learns(spark, seeded(together({**images, **sequences})))


def test_interpolated_images_are_as_keras(spark):
    """Keras interpolates in float32, of a float64 model, too."""
    keras.config.set_floatx("float32")
    kinds = ("bilinear", "bicubic", "lanczos3", "lanczos5")
    cases = {
        kind: model(IMAGE, UpSampling2D((2, 3), interpolation=kind), Conv2D(2, 2), *ends())
        for kind in kinds
    }
    agrees_and_learns(spark, seeded(together(cases)))
    first = {kind: model((2, 4, 3), UpSampling2D(2, interpolation=kind, **FIRST)) for kind in kinds}
    agrees(spark, together(first))


def test_dilated_kernel_is_one_with_zeros_between(spark):
    """TensorFlow has none on a CPU."""
    dilated = model(IMAGE, Conv2DTranspose(3, 2, dilation_rate=(2, 1)))
    dense = model(IMAGE, Conv2DTranspose(3, (3, 2)))
    kernel, bias = dilated.get_weights()
    spaced = np.zeros((3, 2, 3, 2))
    spaced[::2] = kernel
    dense.set_weights([spaced, bias])
    features = examples(dense, 5)
    near(Keras2DML(spark, dilated).outputs(features)[0], np.asarray(dense(features)), 1e-9)


def test_channels_first_is_channels_last_moved(spark):
    """TensorFlow has none on a CPU."""
    layers = (
        lambda **form: Conv2DTranspose(3, 3, strides=2, padding="same", **form),
        lambda **form: Conv2DTranspose(2, 2, **form),
    )
    first = model((2, 4, 3), *(layer(**FIRST) for layer in layers))
    last = model(IMAGE, *(layer() for layer in layers))
    features = examples(last, 5)
    found = Keras2DML(spark, first).outputs(features.transpose(0, 3, 1, 2))[0]
    near(found.transpose(0, 2, 3, 1), np.asarray(last(features)), 1e-9)
