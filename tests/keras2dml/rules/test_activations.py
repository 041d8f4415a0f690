"""Each activation, as a function and as a layer, scores and learns as Keras does."""

from __future__ import annotations

import keras
import pytest
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
from oracle import agrees, learns, model, seeded

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
    (LeakyReLU, {"negative_slope": 0.05}),
    (ELU, {"alpha": 0.7}),
    (PReLU, {}),
    (PReLU, {"shared_axes": [1, 2]}),
    (PReLU, {"shared_axes": [3]}),
    (Softmax, {}),
    (Softmax, {"axis": 1}),
    (Softmax, {"axis": -2}),
]


@pytest.mark.parametrize("names", [FUNCTIONS[at::6] for at in range(6)], ids=" ".join)
def test_functions_score_and_learn_as_keras(spark, names):
    values = keras.Input((5,))
    functions = [getattr(keras.activations, name) for name in names]
    sides = [Activation(function)(Dense(6)(values)) for function in functions]
    ends = Dense(3, activation="softmax")(Concatenate()(sides))
    built = seeded(keras.Model(values, [*sides, ends]))
    agrees(spark, built, rows=9)
    learns(spark, seeded(keras.Model(values, ends)))


@pytest.mark.parametrize(("layer", "arguments"), LAYERS, ids=str)
def test_layer_scores_and_learns_as_keras(spark, layer, arguments):
    ends = Flatten(), Dense(3, activation="softmax")
    built = model((6, 5, 3), Conv2D(4, 2), layer(**arguments), *ends)
    agrees(spark, built)
    learns(spark, built)


@pytest.mark.parametrize("names", [("relu", "relu"), ("hard_tanh", "relu6"), ("relu", "relu6")])
def test_functions_with_extremes_follow_each_other(spark, names):
    several = (Activation(name) for name in names)
    built = model((6, 5, 3), Conv2D(4, 2, use_bias=False), *several, Flatten(), Dense(3, "softmax"))
    agrees(spark, built)
    learns(spark, built)


def test_losses_with_extremes_take_outputs_with_extremes(spark):
    built = model((5,), Dense(4), Activation("relu"))
    learns(spark, built, loss="mean_squared_logarithmic_error", metrics=["mse"])
