"""Layers that disturb their input in training, and those that bring it to a scale."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import (
    ActivityRegularization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    Normalization,
    Rescaling,
    SpatialDropout1D,
    SpatialDropout2D,
)
from oracle import agrees, agrees_and_learns, examples, fresh, learns, model, near

from keras2dml import Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE = (5, 4, 3)


def ends() -> tuple[keras.Layer, ...]:
    return Flatten(), Dense(3, activation="softmax")


def disturbed(spark, shape: tuple[int, ...], layer: keras.Layer) -> np.ndarray:
    """What a layer makes of ones in training: the gradient of a linear output's weights."""
    built = model(shape, fresh(layer), Flatten(), Dense(1, use_bias=False))
    built.compile(keras.optimizers.SGD(1.0), loss="mae")
    before = built.get_weights()[-1]
    ours = Keras2DML(spark, built, batch_size=1, max_iter=1, display=0)
    ours.fit(np.ones((1, *shape)), np.full((1, 1), -1e6))
    return (before - ours.to_keras().get_weights()[-1]).reshape(shape)


@pytest.mark.parametrize(
    ("layer", "stddev"), [(GaussianNoise(0.5), 0.5), (GaussianDropout(0.2), 0.5)]
)
def test_noise_has_its_distribution(spark, layer, stddev):
    found = disturbed(spark, (40, 50, 2), layer)
    assert found.mean() == pytest.approx(1.0, abs=0.03)
    assert found.std() == pytest.approx(stddev, rel=0.05)
    np.testing.assert_array_equal(found, disturbed(spark, (40, 50, 2), layer))


@pytest.mark.parametrize(
    ("shape", "layer", "places"),
    [
        ((4, 300), SpatialDropout1D(0.3), (0,)),
        ((4, 3, 300), SpatialDropout2D(0.3), (0, 1)),
        ((300, 4, 3), SpatialDropout2D(0.3, data_format="channels_first"), (1, 2)),
        ((4, 3, 300), Dropout(0.3, noise_shape=(None, 1, 1, 300)), (0, 1)),
        ((4, 300), Dropout(0.3, noise_shape=(None, 1, None)), (0,)),
    ],
)
def test_whole_channels_are_left_out(spark, shape, layer, places):
    found = disturbed(spark, shape, layer).round(9)
    channels = found.max(axis=places)
    np.testing.assert_array_equal(found.min(axis=places), channels)
    near(np.unique(channels), np.array([0, 1 / 0.7]), 1e-8)
    assert np.mean(channels == 0) == pytest.approx(0.3, abs=0.08)


def test_nothing_is_disturbed_at_prediction(spark):
    layers = GaussianNoise(0.5), SpatialDropout2D(0.3), GaussianDropout(0.2)
    agrees(spark, model(IMAGE, *layers, Conv2D(2, 2), *ends()))
    agrees(spark, model((5, 3), SpatialDropout1D(0.3), Conv1D(2, 2), *ends()))


def test_penalty_of_activities_is_as_keras(spark):
    learns(spark, model(IMAGE, Conv2D(2, 2), ActivityRegularization(0.01, 0.02), *ends()))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Rescaling(1 / 255),
        lambda: Rescaling(1 / 127.5, offset=-1),
        lambda: Rescaling([0.3, 2.0, -1.1], offset=[0.1, 0.2, 0.3]),
        lambda: Rescaling(np.array([0.3, 2.0, -1.1])),
        lambda: Normalization(mean=[0.3, 0.1, -0.7], variance=[2.0, 0.5, 0.0]),
        lambda: Normalization(
            axis=(1, 3), mean=np.arange(15.0).reshape(5, 3), variance=np.ones((5, 3))
        ),
        lambda: Normalization(axis=None, mean=0.3, variance=2.0, invert=True),
    ],
)
def test_features_are_scaled_as_keras_does(spark, layer):
    built = model(IMAGE, Conv2D(3, 2, padding="same"), layer(), Conv2D(2, 2), *ends())
    agrees_and_learns(spark, built)


def test_what_was_adapted_is_kept(spark):
    adapted = Normalization()
    built = keras.Sequential([keras.Input(IMAGE), adapted, *ends()])
    adapted.adapt(3 * examples(built, 20) + 1)
    agrees(spark, built)
    ours = Keras2DML(spark, built).to_keras()
    features = examples(built, 3)
    near(np.asarray(ours(features)), np.asarray(built(features)), 1e-9)


def test_whole_examples_are_left_out(spark):
    found = disturbed(spark, (4, 3, 2), Dropout(0.5, noise_shape=(None, 1, 1, 1)))
    assert np.unique(found.round(9)).tolist() in ([0.0], [2.0])
