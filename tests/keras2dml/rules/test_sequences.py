"""Embeddings, and a layer for each step, score and learn as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras import layers
from oracle import agrees_and_learns, model, seeded

from keras2dml import Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

CLASSES = layers.Flatten, lambda: layers.Dense(3, activation="softmax")


def test_embeddings_score_and_learn_as_keras(spark):
    """Numbers of both signs, and with fractions."""
    cases = {
        str(shape): model(shape, layers.Embedding(6, 5), *(made() for made in CLASSES))
        for shape in [(4,), (3, 2), (1,)]
    }
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    agrees_and_learns(spark, together(cases), optimizer=optimizer)


def test_embedding_refuses_numbers_without_a_row(spark):
    built = model((2,), layers.Embedding(4, 3), *(made() for made in CLASSES))
    built.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(
        Exception, match="input_dim=4 takes numbers from 0 to 3, and gets some from 0"
    ):
        Keras2DML(spark, built).predict(np.array([[0, 3], [4, 2]]))


def inner() -> keras.Model:
    return keras.Sequential([keras.Input((4, 3, 2)), layers.Conv2D(3, 2), layers.MaxPooling2D()])


STEPS = [
    ((5, 4), lambda: layers.Dense(3, activation="tanh")),
    ((3, 4, 3, 2), inner),
    ((3, 4, 2), lambda: layers.LayerNormalization(axis=(1, 2))),
    ((2, 3, 4), lambda: layers.TimeDistributed(layers.Dense(3))),
    ((2, 3), lambda: layers.BatchNormalization(trainable=False)),
]


def of_steps(shape: tuple[int, ...], layer: keras.Layer) -> keras.Model:
    ends = [ending() for ending in CLASSES]
    return model(shape, layers.Dense(shape[-1]), layers.TimeDistributed(layer), *ends)


def test_layers_for_each_step_score_and_learn_as_keras(spark):
    cases = {str(shape): of_steps(shape, made()) for shape, made in STEPS}
    agrees_and_learns(spark, seeded(together(cases)))
