"""Models that were made into others after they were built, or named to do more than be read."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from keras import layers
from oracle import complaints, model, near, seeded

from keras2dml import Keras2DML
from keras2dml.compilation import Compilation
from keras2dml.copying.model import copied
from keras2dml.export import onnx
from keras2dml.export.programs import Programs

QUANTIZED = [
    (mode, layer)
    for mode in ("int8", "int4", "float8")
    for layer in (
        layers.Dense(4),
        layers.TimeDistributed(layers.Dense(4)),
        layers.EinsumDense("abc,cd->abd", (None, 4)),
        layers.Embedding(5, 4),
    )
    if mode != "float8" or not isinstance(layer, layers.Embedding)  # of which Keras has none
]


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
@pytest.mark.parametrize(("mode", "layer"), QUANTIZED)
def test_quantized_layers_are_refused(mode, layer):
    shape = (3,) if isinstance(layer, layers.Embedding) else (3, 4)
    built = model(shape, type(layer).from_config(layer.get_config()))
    assert not complaints(built)
    built.quantize(mode)
    (reason,) = complaints(built)
    assert f"is quantized to {mode}" in reason and "before quantize()" in reason


def test_layers_within_layers_are_looked_at():
    x = keras.Input((4, 3))
    attention = layers.MultiHeadAttention(2, 2)
    built = keras.Model(x, attention(x, x))
    attention._query_dense.enable_lora(1)
    (reason,) = complaints(built)
    assert "'query' (EinsumDense) has LoRA" in reason


def test_a_call_put_in_place_of_another_is_refused():
    layer = layers.Dense(2)
    built = model((3,), layer)
    layer.call = lambda x: x
    (reason,) = complaints(built)
    assert "has a call of its own" in reason
    whole = model((3,), layers.Dense(2))
    whole.call = lambda x: x
    assert any("has a call of its own" in reason for reason in complaints(whole))


CHANGES = [
    (layers.Dense(3), "activation", None),
    (layers.Dense(3), "activation", "relu"),
    (layers.Dense(3), "supports_masking", False),
    (layers.Dense(3), "compute_mask", lambda *_: None),
    (layers.Conv1D(3, 2), "groups", 3),
    (layers.BatchNormalization(), "axis", 1),
    (layers.BatchNormalization(), "center", False),
    (layers.RMSNormalization(), "scale", None),
    (layers.GroupNormalization(3), "groups", -1),
    (layers.Flatten(), "data_format", "channels_first"),
    (layers.GRU(3), "return_state", True),
    (layers.Embedding(4, 3), "input_dim", 3),
]


@pytest.mark.parametrize(("layer", "argument", "value"), CHANGES)
def test_arguments_that_keras_read_when_it_built_a_layer_are_refused(layer, argument, value):
    kind = type(layer).from_config(layer.get_config())
    built = model((3,) if isinstance(layer, layers.Embedding) else (3, 3), kind)
    assert not complaints(built)
    setattr(kind, argument, value)
    (reason,) = complaints(built)
    assert f"{kind.name!r} ({type(kind).__name__})" in reason and "changed" in reason
    assert "to the constructor" in reason


def test_statistics_that_are_not_those_of_the_constructor_are_refused():
    layer = layers.Normalization(mean=1.0, variance=4.0)
    x = keras.Input((3,))
    built = keras.Model(x, layer(x))
    assert not [*complaints(built)]
    layer.input_mean = 3.0
    assert "has another mean than it was made with" in " ".join(complaints(built))


def test_layers_in_layers_that_were_changed_are_refused():
    x = keras.Input((3, 3))
    attention, both = layers.MultiHeadAttention(2, 2), layers.Bidirectional(layers.GRU(2))
    built = keras.Model(x, [attention(x, x), both(x)])
    assert not complaints(built)
    attention.query_dense.activation = keras.activations.relu
    (reason,) = complaints(built)
    assert "'query' (EinsumDense) was changed" in reason and "activation" in reason
    attention.query_dense.activation = keras.activations.linear
    both.backward_layer.go_backwards = False
    (reason,) = complaints(built)
    assert "(Bidirectional) was changed" in reason


class Ones(keras.Initializer):
    """A class of a user's that Keras does not find by its name."""

    def __call__(self, shape, dtype=None, **_):
        return keras.ops.ones(shape, dtype)


def test_initializers_of_a_user_are_no_change_and_are_in_copies():
    built = model(
        (4, 3),
        layers.TimeDistributed(layers.Dense(3, kernel_initializer=Ones())),
        layers.LSTM(3, kernel_initializer=Ones(), return_sequences=True),
        layers.BatchNormalization(gamma_initializer=Ones()),
    )
    assert not complaints(built)
    cells = layers.RNN([layers.LSTMCell(2, kernel_initializer=Ones())])
    assert not complaints(model((4, 3), cells))
    assert float(keras.ops.min(copied(built).layers[0].layer.kernel)) == 1.0


def test_what_keras_reads_at_each_call_may_be_changed():
    """And neither Keras' names nor its random numbers go on when that is looked at."""
    built = model((3, 3), layers.Dense(3), layers.Dropout(0.5), layers.LayerNormalization())
    dense, dropout, normalization = built.layers
    dense.activation, dropout.rate, normalization.epsilon = keras.activations.relu, 0.1, 0.1
    dense.kernel.regularizer = keras.regularizers.L2(0.5)
    state = random.getstate()
    assert not complaints(built)
    assert random.getstate() == state and layers.Softmax().name == "softmax"
    assert copied(built).layers[0].kernel.regularizer is dense.kernel.regularizer


HOSTILE = "x\nq = matrix(7, rows=1, cols=1)\rprint('run')\u2028print('run')\n#"


@pytest.mark.parametrize("compiled", ["loss", "metrics", "name"])
def test_no_name_ends_its_comment(compiled):
    """Each line of a script's head stays a comment, whatever a model's file calls its parts."""
    built = model((3,), layers.Dense(2))
    if compiled == "name":
        built.name = HOSTILE
    loss = keras.losses.MeanSquaredError(name=HOSTILE if compiled == "loss" else "loss")
    metric = keras.metrics.MeanSquaredError(name=HOSTILE if compiled == "metrics" else "metric")
    built.compile("sgd", loss, metrics=[metric])
    programs = Programs.of(Compilation.of(built), 3)
    texts = [programs.scoring.text, programs.training.text]
    texts.append(Compilation.of(built).training_script().text)
    for line in (line for text in texts for line in text.splitlines()):
        assert line.startswith("#") or ("matrix(7" not in line and "print('run')" not in line)
    assert any("matrix(7" in text for text in texts)


@pytest.mark.spark
@pytest.mark.systemds
def test_an_input_called_as_the_rows_of_another_is_itself(spark):
    """`a_batch`, when the rows of `a` are taken into a variable of their own."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="a_batch")
    built = seeded(keras.Model([a, b], layers.Dense(2)(layers.Subtract()([a, b]))))
    built.compile(keras.optimizers.SGD(0.1), "mse")
    first, second = np.random.default_rng(3).normal(size=(2, 300, 3))
    ours = Keras2DML(spark, built, display=0)
    near(ours.outputs([first, second])[0], built.predict([first, second], verbose=0), 1e-9)
    y = np.ones((300, 2))
    ours.fit([first, second], y, epochs=1, batch_size=100, shuffle=False)
    built.fit([first, second], y, epochs=1, batch_size=100, shuffle=False, verbose=0)
    near(ours.to_keras().get_weights()[0], built.get_weights()[0], 1e-8)
    assert onnx.exported(ours._graph, ours._matrices).graph.input[1].name == "X_a_batch_2"


@pytest.mark.spark
@pytest.mark.systemds
def test_no_name_reaches_a_terminal_or_a_page_raw(spark, capfd):
    """What a file calls its model and its metrics is shown without what a terminal obeys."""
    hostile = "x\x1b]0;owned\x07\x1b[31m\n<b>"
    built = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name=hostile)
    built.compile("sgd", "mse", metrics=[keras.metrics.MeanSquaredError(name=hostile)])
    ours = Keras2DML(spark, built, display=1, batch_size=2)
    ours.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, verbose=2)
    ours.summary()
    shown = capfd.readouterr().out + repr(ours) + ours._repr_html_()
    assert shown.count("owned") >= 4 and "\\x1b[31m" in shown
    assert "\x1b[31m" not in shown and "\x07" not in shown and "<b>" not in ours._repr_html_()
