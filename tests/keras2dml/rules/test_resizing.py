"""Resized and cropped images score and learn as Keras does, which interpolates in float32."""

from __future__ import annotations

import keras
import pytest
from keras import layers
from oracle import agrees, learns, model, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE = (7, 10, 3)
FIRST = {"data_format": "channels_first"}
ONE_SIDED = [(4, 4), (8, 3), (3, 8)]


def resized() -> list[keras.Layer]:
    """Layers that score; TensorFlow has no gradient of areas."""
    resizing, crop = layers.Resizing, layers.CenterCrop
    return [
        *(resizing(9, 13, how) for how in ("bicubic", "nearest", "area")),
        *(resizing(5, 3, how, antialias=True) for how in ("bilinear", "lanczos3", "lanczos5")),
        *(resizing(*size, crop_to_aspect_ratio=True) for size in ONE_SIDED),
        *(resizing(*size, pad_to_aspect_ratio=True, fill_value=3.0) for size in ONE_SIDED),
        *(crop(*size) for size in [(4, 5), (7, 3), (9, 4), (9, 12), (3, 12)]),
        *(resizing(4, 5, **FIRST), crop(4, 2, **FIRST)),
    ]


def test_images_of_another_size_score_and_learn_as_keras(spark):
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    image = keras.Input(IMAGE)
    values = [layers.Dense(2)(layers.Flatten()(layer(image))) for layer in resized()]
    agrees(spark, seeded(keras.Model(image, values)), sparse=False)
    cut = layers.CenterCrop(5, 8), layers.Resizing(4, 6)
    first, last = layers.Conv2D(3, 2), layers.Dense(3, activation="softmax")
    learns(spark, model(IMAGE, first, *cut, layers.Flatten(), last), steps=2)
