"""Layers of volumes score and learn as Keras does; no two axes are of one size."""

from __future__ import annotations

import keras
import pytest
from keras import layers
from oracle import agrees, agrees_and_learns, complaints, fresh, learns, model, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

LONG = pytest.mark.long
VOLUME, SMALL = (5, 4, 6, 3), (2, 3, 4, 2)
CONVOLUTIONS = [
    (VOLUME, layers.Conv3D(3, 3, padding="same", activation="tanh")),
    (VOLUME, layers.Conv3D(2, (3, 2, 4), strides=(2, 1, 3), padding="same", use_bias=False)),
    (VOLUME, layers.Conv3D(2, 2, strides=2)),
    (VOLUME, layers.Conv3D(2, 2, dilation_rate=(2, 1, 2))),
    (VOLUME, layers.Conv3D(6, 2, groups=3)),
    (SMALL, layers.Conv3DTranspose(3, 2)),
    (SMALL, layers.Conv3DTranspose(2, 3, strides=2, padding="same", activation="tanh")),
    (SMALL, layers.Conv3DTranspose(2, (2, 3, 2), strides=(2, 1, 3), output_padding=(1, 0, 2))),
]
IN_FLOAT32 = [
    layers.MaxPooling3D(2),
    layers.MaxPooling3D((2, 3, 2), strides=(1, 2, 1), padding="same"),
    layers.AveragePooling3D(2, padding="same"),
    layers.AveragePooling3D((3, 1, 2), strides=(1, 2, 2)),
    layers.GlobalMaxPooling3D(),
    layers.GlobalAveragePooling3D(keepdims=True),
    layers.ZeroPadding3D(((1, 0), (2, 1), (0, 2))),
    layers.ZeroPadding3D(1, data_format="channels_first"),
    layers.Cropping3D(((1, 0), (1, 1), (0, 2))),
    layers.UpSampling3D((2, 1, 3)),
    layers.UpSampling3D((1, 2, 1), data_format="channels_first"),
]


def named(case: object) -> str:
    return getattr(case, "name", "")


def test_convolutions_of_volumes_score_and_learn_as_keras(spark):
    convolved = layers.Conv3D(3, (2, 3, 2), strides=(2, 1, 1), padding="same", activation="tanh")
    spread = layers.Conv3DTranspose(2, (3, 2, 2), strides=(2, 1, 1), padding="same")
    ended = layers.Flatten(), layers.Dense(3, activation="softmax")
    built = model(VOLUME, convolved, spread, *ended)
    agrees(spark, built, sparse=False, single=False)
    learns(spark, built, steps=2, single=False)


@LONG
@pytest.mark.parametrize(("shape", "layer"), CONVOLUTIONS, ids=named)
def test_convolution_scores_and_learns_as_keras(spark, shape, layer):
    first = layers.Conv3D(3, 2, padding="same", activation="tanh", name="first")
    built = model(
        shape, first, fresh(layer), layers.Flatten(), layers.Dense(3, activation="softmax")
    )
    agrees_and_learns(spark, built, steps=3)


@LONG
@pytest.mark.parametrize("layer", IN_FLOAT32, ids=named)
def test_layer_scores_and_learns_as_keras(spark, layer):
    """TensorFlow pools volumes of float32 only; each of several largest elements is one."""
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    first = layers.Conv3D(3, 2, padding="same", activation="relu")
    built = model(
        VOLUME, first, fresh(layer), layers.Flatten(), layers.Dense(3, activation="softmax")
    )
    agrees_and_learns(spark, built, steps=3)


@LONG
def test_volumes_with_their_channels_first_score_as_keras(spark):
    volume = keras.Input((3, 5, 4, 6))
    agrees(spark, seeded(keras.Model(volume, layers.Conv3D(2, 2, data_format=FIRST)(volume))))


FIRST = "channels_first"


def test_what_tensorflow_does_not_compute_is_refused():
    built = model(SMALL, layers.Conv3DTranspose(2, 2, dilation_rate=2))
    assert "has dilation_rate=(2, 2, 2)" in complaints(built)[0]
