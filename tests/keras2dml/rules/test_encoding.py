"""Layers that make categories of numbers score as Keras does, and go through training."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from oracle import agrees, complaints, examples, fresh, learns, model, near, seeded

from keras2dml import Keras2DML

SPARK = pytest.mark.spark
VOCABULARY = [2, 1, -3]
LOOKUPS = [
    {},
    {"output_mode": "one_hot"},
    {"output_mode": "multi_hot"},
    {"output_mode": "count"},
    {"output_mode": "tf_idf", "idf_weights": [0.3, 0.4, 0.5]},
    {"mask_token": 0},
    {"mask_token": 0, "output_mode": "one_hot"},
    {"num_oov_indices": 3},
    {"mask_token": 4, "max_tokens": 8, "output_mode": "multi_hot", "pad_to_max_tokens": True},
]


def ended(x: keras.KerasTensor, *values: keras.KerasTensor) -> keras.Model:
    """A model of which each value is an output, as a Dense layer makes one of it."""
    return seeded(keras.Model(x, [layers.Dense(2)(layers.Flatten()(value)) for value in values]))


@SPARK
@pytest.mark.systemds
def test_places_of_numbers_score_as_keras(spark):
    x = keras.Input((4,))
    numbers = layers.Rescaling(3.0)(x)
    values = [
        layers.CategoryEncoding(3, output_mode="one_hot")(numbers),
        layers.Discretization([-0.7, 0.1, 1.0], output_mode="multi_hot")(numbers),
        layers.IntegerLookup(vocabulary=VOCABULARY)(numbers),
    ]
    agrees(spark, ended(x, *values), sparse=False, single=False)


@SPARK
@pytest.mark.systemds
@pytest.mark.long
def test_categories_of_numbers_score_as_keras(spark):
    """Numbers of both signs, and beyond the last category; some are cut."""
    x = keras.Input((4,))
    numbers = layers.Rescaling(3.0)(x)
    positive, last = layers.ReLU()(numbers), layers.Reshape((4, 1))(numbers)
    modes = ("int", "one_hot", "multi_hot", "count")
    values = [
        layers.CategoryEncoding(3, output_mode="one_hot")(numbers),
        layers.CategoryEncoding(3, output_mode="one_hot")(last),
        layers.CategoryEncoding(3, output_mode="multi_hot")(positive),
        layers.CategoryEncoding(3, output_mode="count")(positive),
        *(layers.Discretization([-0.7, 0.1, 1.0], output_mode=mode)(numbers) for mode in modes),
        *(layers.IntegerLookup(vocabulary=VOCABULARY, **how)(numbers) for how in LOOKUPS),
    ]
    agrees(spark, ended(x, *values), sparse=False)


@SPARK
@pytest.mark.systemds
@pytest.mark.long
def test_models_of_categories_learn_as_keras(spark):
    lookup = layers.IntegerLookup(vocabulary=VOCABULARY)
    built = model(
        (4,),
        layers.Rescaling(3.0),
        lookup,
        layers.Embedding(5, 3),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    )
    learns(spark, built)


@SPARK
@pytest.mark.systemds
@pytest.mark.long
def test_an_adapted_vocabulary_goes_along(spark):
    lookup = layers.IntegerLookup(output_mode="multi_hot")
    lookup.adapt(np.array([5, 5, 2, 9]))
    bins = layers.Discretization(num_bins=3)
    bins.adapt(np.arange(20.0))
    x = keras.Input((2,))
    both = layers.Concatenate()([lookup(x), layers.Rescaling(0.5)(bins(x))])
    built = seeded(keras.Model(x, layers.Dense(3, activation="softmax")(both)))
    built.compile("sgd", "sparse_categorical_crossentropy")
    ours = Keras2DML(spark, built, max_iter=2, batch_size=2, display=0)
    features = np.array([[5, 2], [9, 1], [2, 2], [1, 19]])
    ours.fit(features, np.array([0, 1, 2, 0]))
    near(np.asarray(ours.to_keras()(features)), ours.predict_proba(features), 1e-9)


@SPARK
@pytest.mark.systemds
@pytest.mark.long
@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (layers.IntegerLookup(vocabulary=[3], num_oov_indices=0), "not in the vocabulary"),
        (layers.CategoryEncoding(3), "which is none from 0 on"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_numbers_that_keras_stops_for_stop_the_script(spark, layer, match):
    built = model((4,), fresh(layer), layers.Rescaling(1.0))
    with pytest.raises(Exception, match=match):
        Keras2DML(spark, built, display=0).predict_proba(-abs(examples(built, 3)) - 1)


@pytest.mark.parametrize(
    ("shape", "layer", "match"),
    [
        ((3,), layers.IntegerLookup(), "has no vocabulary yet: give it one, or call adapt()"),
        ((3,), layers.Discretization(num_bins=3), "has no bins yet: give bin_boundaries"),
        ((3, 2), layers.CategoryEncoding(4), "Keras counts along another axis"),
        ((3,), layers.CategoryEncoding(4, sparse=True), "has sparse=True"),
        ((3,), layers.IntegerLookup(vocabulary=[1, 10**7]), "a vocabulary from 1 to 10000000"),
        ((3,), layers.IntegerLookup(vocabulary=[1, 2], invert=True), "has invert=True"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_categories_are_refused(shape, layer, match):
    x = keras.Input(shape)
    assert match in complaints(keras.Model(x, layer(x)))[0]
