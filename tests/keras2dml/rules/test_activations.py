"""Each activation, as a function and as a layer, scores and learns as Keras does."""

from __future__ import annotations

import keras
import pytest
from joining import together
from keras.layers import (
    ELU,
    Activation,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from oracle import agrees, agrees_and_learns, learns, model, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

# Keras' `glu` halves an axis, which its layers do not know, and `threshold` has to be told one: as
# functions they are in test_functions.py.
OTHERS = {"glu", "threshold"}
HELPERS = {"deserialize", "get", "serialize"}
FUNCTIONS = sorted(
    name
    for name in set(dir(keras.activations)) - OTHERS - HELPERS
    if callable(getattr(keras.activations, name))
)
LAYERS = [
    (ReLU, {}),
    (ReLU, {"max_value": 0.3}),
    (ReLU, {"negative_slope": 0.3}),
    (ReLU, {"max_value": 1.5, "negative_slope": 0.3, "threshold": 0.2}),
    (ReLU, {"negative_slope": 0.5, "threshold": 3.3}),
    (LeakyReLU, {"negative_slope": 0.05}),
    (ELU, {"alpha": 0.7}),
    (PReLU, {}),
    (PReLU, {"shared_axes": [1, 2]}),
    (PReLU, {"shared_axes": [3]}),
    (Softmax, {}),
    (Softmax, {"axis": 1}),
    (Softmax, {"axis": -2}),
]


def of_images(*layers: keras.Layer) -> keras.Model:
    return model((6, 5, 3), *layers, Flatten(), Dense(3, activation="softmax"))


def test_functions_score_and_learn_as_keras(spark):
    values = keras.Input((5,))
    functions = [getattr(keras.activations, name) for name in FUNCTIONS]
    sides = [Activation(function)(Dense(6)(values)) for function in functions]
    ends = Dense(3, activation="softmax")(Concatenate()(sides))
    agrees(spark, seeded(keras.Model(values, [*sides, ends])), rows=9)
    learns(spark, seeded(keras.Model(values, ends)))


def test_layers_score_and_learn_as_keras(spark):
    cases = {
        f"{layer.__name__} {arguments}": of_images(Conv2D(4, 2), layer(**arguments))
        for layer, arguments in LAYERS
    }
    agrees_and_learns(spark, seeded(together(cases)))


def test_functions_with_extremes_follow_each_other(spark):
    pairs = [("relu", "relu"), ("hard_tanh", "relu6")]
    cases = {
        str(pair): of_images(Conv2D(4, 2, use_bias=False), *map(Activation, pair)) for pair in pairs
    }
    agrees_and_learns(spark, together(cases))


def test_losses_with_extremes_take_outputs_with_extremes(spark):
    built = model((5,), Dense(4), Activation("relu"))
    learns(spark, built, loss="mean_squared_logarithmic_error", metrics=["mse"])
