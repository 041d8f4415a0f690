"""Embeddings, and a layer for each step, score and learn as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from oracle import agrees, learns, model

from keras2dml import Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

CLASSES = layers.Flatten, lambda: layers.Dense(3, activation="softmax")


@pytest.mark.parametrize("shape", [(4,), (3, 2), (1,)])
def test_embedding_scores_and_learns_as_keras(spark, shape):
    # Numbers of both signs, and with fractions.
    built = model(shape, layers.Embedding(6, 5), *(made() for made in CLASSES))
    agrees(spark, built)
    learns(spark, built, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))


def test_embedding_refuses_numbers_without_a_row(spark):
    built = model((2,), layers.Embedding(4, 3), *(made() for made in CLASSES))
    built.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(
        Exception, match="input_dim=4 takes numbers from 0 to 3, and gets some from 0"
    ):
        Keras2DML(spark, built).predict(np.array([[0, 3], [4, 2]]))


def inner() -> keras.Model:
    return keras.Sequential([keras.Input((4, 3, 2)), layers.Conv2D(3, 2), layers.MaxPooling2D()])


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ((5, 4), lambda: layers.Dense(3, activation="tanh")),
        ((3, 4, 3, 2), inner),
        ((3, 4, 2), lambda: layers.LayerNormalization(axis=(1, 2))),
        ((2, 3, 4), lambda: layers.TimeDistributed(layers.Dense(3))),
        ((2, 3), lambda: layers.BatchNormalization(trainable=False)),
    ],
)
def test_layer_for_each_step_scores_and_learns_as_keras(spark, shape, made):
    first = layers.Dense(shape[-1])
    ends = [ending() for ending in CLASSES]
    built = model(shape, first, layers.TimeDistributed(made()), *ends)
    agrees(spark, built)
    learns(spark, built)
