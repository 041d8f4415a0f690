"""Layers that change images in training alone: they score as in Keras, and are not trained."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from oracle import agrees, complaints, model

from keras2dml import Keras2DML, UnsupportedModel
from keras2dml.rules.augmentation import LAYERS

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE = (8, 6, 3)
ARGUMENTS = {
    layers.RandomPosterization: {"factor": 4},
    layers.RandomTranslation: {"height_factor": 0.2, "width_factor": 0.2},
    layers.RandomZoom: {"height_factor": 0.2},
}
BY_FACTOR = (
    layers.RandomBrightness,
    layers.RandomColorDegeneration,
    layers.RandomContrast,
    layers.RandomHue,
    layers.RandomRotation,
    layers.RandomSaturation,
    layers.RandomSharpness,
)


def augmented() -> keras.Model:
    x = start = keras.Input(IMAGE)
    for kind in LAYERS:
        arguments = {"factor": 0.3} if kind in BY_FACTOR else ARGUMENTS.get(kind, {})
        x = kind(**arguments)(x)
    flat = layers.Flatten()(layers.Conv2D(2, 3)(x))
    return keras.Model(start, layers.Dense(3, activation="softmax")(flat))


def test_images_are_scored_as_they_are(spark):
    """Some of Keras' layers know float32 alone."""
    keras.config.set_floatx("float32")
    agrees(spark, augmented(), sparse=False)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # which Keras took from floatx before
    within = keras.Sequential([layers.RandomFlip(), layers.RandomZoom(0.1)])
    pipeline = layers.Pipeline([layers.RandomFlip(), layers.Rescaling(0.5)])
    agrees(spark, model(IMAGE, within, pipeline, layers.Conv2D(2, 3)), sparse=False, single=False)


def test_a_model_that_changes_images_is_not_trained(spark):
    built = augmented()
    built.compile("sgd", "sparse_categorical_crossentropy")
    ours = Keras2DML(spark, built, display=0)
    with pytest.raises(UnsupportedModel, match="cannot be trained:\n") as refused:
        ours.fit(np.zeros((4, *IMAGE)), np.zeros(4, int))
    assert len(refused.value.complaints) == len(LAYERS)
    assert "Layer 'random_flip' (RandomFlip) changes images in training" in str(refused.value)
    with pytest.raises(UnsupportedModel, match="cannot be trained:\n"):
        ours.get_training_script()


def test_labels_beside_images_are_refused():
    image, label = keras.Input(IMAGE, name="images"), keras.Input((3,), name="labels")
    mixed = layers.MixUp()({"images": image, "labels": label})
    assert "takes labels or boxes beside" in complaints(keras.Model([image, label], mixed))[0]
