"""Layers that change images only in training, most of them at random.

They score as in Keras, where they return the images unchanged. In training they use Keras' random
numbers, so a model with such a layer is not trained.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import keras

from keras2dml.graph import IDENTITY, Value
from keras2dml.rules import Refusal, call, lowered, lowers, named

LAYERS = (
    keras.layers.AugMix,
    keras.layers.CutMix,
    keras.layers.MixUp,
    keras.layers.RandAugment,
    keras.layers.RandomBrightness,
    keras.layers.RandomColorDegeneration,
    keras.layers.RandomColorJitter,
    keras.layers.RandomContrast,
    keras.layers.RandomElasticTransform,
    keras.layers.RandomErasing,
    keras.layers.RandomFlip,
    keras.layers.RandomGaussianBlur,
    keras.layers.RandomGrayscale,
    keras.layers.RandomHue,
    keras.layers.RandomInvert,
    keras.layers.RandomPerspective,
    keras.layers.RandomPosterization,
    keras.layers.RandomRotation,
    keras.layers.RandomSaturation,
    keras.layers.RandomSharpness,
    keras.layers.RandomShear,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Solarization,
)
ARGUMENTS = {name for layer in LAYERS for name in signature(layer.__init__).parameters}


@lowers(*LAYERS, honours=" ".join(ARGUMENTS))
def augmentation(layer: Any, x: Value, *others: Value) -> Value:
    """The images, unchanged."""
    if others:
        message = f"{named(layer)} takes labels or boxes besides images. Give it only images."
        raise Refusal(message)
    reason = (
        f"{named(layer)} changes images in training with Keras' random numbers, which are not"
        " SystemDS'. The model scores; to train it, leave the layer out, and give fit() images that"
        " it has changed."
    )
    return call(layer.name, IDENTITY, x, untrained=reason)


@lowers(keras.layers.Pipeline, honours="layers")
def pipeline(layer: Any, x: Value) -> Value:
    """One layer after another."""
    for step in layer.layers:
        (x,) = lowered(step, x)
    return x
