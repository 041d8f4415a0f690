"""EinsumDense scores and learns as Keras does, whatever its equation does with the axes."""

from __future__ import annotations

import keras
import pytest
from keras import layers
from oracle import agrees_and_learns, complaints, model, seeded

SEQUENCE = (5, 3)
EQUATIONS = [
    ("abc,cd->abd", (5, 4), "d"),
    ("abc,cde->abde", (5, 2, 3), "e"),
    ("abc,cde->abde", (5, 2, 3), "be"),
    ("abc,bcd->ad", 4, "d"),
    ("abc,cbd->ad", (4,), None),
    ("...x,xy->...y", (4,), "y"),
    ("ab...,bc->ac...", (4,), "c"),
    ("abc,be->aec", (4, 3), "ec"),
    ("abc,cd->adb", (4, 5), "b"),
]


@pytest.mark.spark
@pytest.mark.systemds
def test_equations_score_and_learn_as_keras(spark):
    x = keras.Input(SEQUENCE)
    before = layers.Conv1D(3, 1)(x)
    values = [
        layers.Flatten()(
            layers.EinsumDense(equation, shape, bias_axes=axes, activation="tanh")(before)
        )
        for equation, shape, axes in EQUATIONS
    ]
    open_ = layers.EinsumDense("abc,cd->abd", (None, 2), bias_axes="d")(before)
    values.append(layers.GlobalAveragePooling1D()(open_))
    ended = layers.Dense(3, activation="softmax")(layers.Concatenate()(values))
    built = seeded(keras.Model(x, ended))
    agrees_and_learns(spark, built, steps=3, single=False)


@pytest.mark.parametrize(
    ("equation", "shape", "match"),
    [
        ("abc,bcd->abd", (5, 4), "only compiled if each axis"),
        ("abc,bd->ad", (4,), "only compiled if each axis"),
    ],
)
def test_other_equations_are_refused(equation, shape, match):
    assert match in complaints(model(SEQUENCE, layers.EinsumDense(equation, shape)))[0]
