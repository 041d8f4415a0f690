"""Recurrent layers, one way and both, score and learn as Keras does."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from joining import together
from keras import layers
from oracle import agrees, agrees_and_learns, examples, model, seeded

from keras2dml import Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

SEQUENCE = (4, 3)
ONE_WAY: list[tuple[Any, dict[str, Any]]] = [
    (layers.SimpleRNN, {}),
    (layers.SimpleRNN, {"activation": "relu", "use_bias": False, "return_sequences": True}),
    (layers.SimpleRNN, {"activation": None, "go_backwards": True}),
    (layers.LSTM, {}),
    (layers.LSTM, {"use_bias": False, "return_sequences": True, "unroll": True}),
    (layers.LSTM, {"recurrent_activation": "hard_sigmoid", "activation": "elu", "seed": 3}),
    (layers.LSTM, {"go_backwards": True, "return_sequences": True, "unit_forget_bias": False}),
    (layers.GRU, {}),
    (layers.GRU, {"reset_after": False, "return_sequences": True}),
    (layers.GRU, {"reset_after": False, "use_bias": False, "go_backwards": True}),
    (layers.GRU, {"use_bias": False, "activation": "softsign", "return_sequences": True}),
]


def within(layer: keras.Layer) -> keras.Model:
    ends = layers.Flatten(), layers.Dense(3, activation="softmax")
    return model(SEQUENCE, layers.Dense(2), layer, *ends)


def test_recurrent_layers_score_and_learn_as_keras(spark):
    cases = {
        f"{layer.__name__} {arguments}": within(layer(5, **arguments))
        for layer, arguments in ONE_WAY
    }
    agrees_and_learns(spark, seeded(together(cases)))


def handing_states_on(layer: type[keras.Layer]) -> keras.Model:
    """A layer's last states are the first ones of another: encoder and decoder."""
    first, second = keras.Input(SEQUENCE), keras.Input((5, 2))
    _, *states = layer(4, return_state=True)(first)
    made, *after = layer(4, return_sequences=True, return_state=True)(second, initial_state=states)
    ends = [layers.Flatten()(made), *after]
    return keras.Model([first, second], [layers.Dense(3, activation="softmax")(x) for x in ends])


def test_states_go_in_and_come_out_as_in_keras(spark):
    kinds = layers.SimpleRNN, layers.LSTM, layers.GRU
    cases = {kind.__name__: handing_states_on(kind) for kind in kinds}
    agrees_and_learns(spark, seeded(together(cases)), single=False)


BOTH_WAYS = {
    "sequences": lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
    "mean": lambda: layers.Bidirectional(layers.GRU(3), "ave"),
    "another kind": lambda: layers.Bidirectional(
        layers.GRU(3), backward_layer=layers.LSTM(3, go_backwards=True)
    ),
}
MERGED = {
    "sum": lambda: layers.Bidirectional(layers.LSTM(3), "sum"),
    "product": lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True), "mul"),
    "mean": lambda: layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True), "ave"),
}


@pytest.mark.parametrize("kinds", [BOTH_WAYS, pytest.param(MERGED, marks=pytest.mark.long)])
def test_both_ways_score_and_learn_as_keras(spark, kinds):
    cases = {name: within(made()) for name, made in kinds.items()}
    if kinds is BOTH_WAYS:
        cases["apart"] = apart()
    agrees_and_learns(spark, seeded(together(cases)), single=False)


def apart() -> keras.Model:
    """Both ways are not merged, and begin with states."""
    x = keras.Input(SEQUENCE)
    states = [layers.Dense(3, activation="tanh")(layers.Flatten()(x)) for _ in range(4)]
    inner = layers.LSTM(3, return_sequences=True, return_state=True)
    made = layers.Bidirectional(inner, merge_mode=None)(x, initial_state=states)
    ends = [layers.Dense(3, activation="softmax")(layers.Flatten()(one)) for one in made[::2]]
    return keras.Model(x, ends)


@pytest.mark.parametrize("layer", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_dropout_leaves_the_same_out_at_each_step(spark, layer):
    inside = model(SEQUENCE, layer(5, dropout=0.4), layers.Dense(2))
    before = model(SEQUENCE, layers.SpatialDropout1D(0.4), layer(5), layers.Dense(2))
    before.set_weights(inside.get_weights())
    X, y = examples(inside, 12), np.ones((12, 2))
    trained = []
    for built in (inside, before):
        built.compile("sgd", "mse")
        ours = Keras2DML(spark, built, batch_size=4, display=0)
        trained.append(ours.fit(X, y, epochs=2).to_keras().get_weights())
    for one, other, start in zip(*trained, inside.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
        assert not np.array_equal(one, start)
    agrees(spark, inside)
