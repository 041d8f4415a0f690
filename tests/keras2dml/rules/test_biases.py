"""Sums that Keras on TensorFlow takes for biases, and adds along another axis."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from oracle import complaints, examples, model, near, seeded

from keras2dml import InvalidData, Keras2DML
from keras2dml.compilation import Compilation
from keras2dml.rules.misplaced_sums import check

FIRST = {"data_format": "channels_first"}
# As many channels as columns in the result.
AS_WIDE = [
    ((2, 6), layers.Conv1D(4, 3, **FIRST)),
    ((2, 4), layers.Conv1D(4, 3, padding="same", activation="relu", **FIRST)),
    ((2, 5, 6), layers.Conv2D(4, 3, **FIRST)),
    ((2, 5, 6), layers.TimeDistributed(layers.Conv1D(4, 3, **FIRST))),
    ((2, 5, 5, 6), layers.Conv3D(4, 3, **FIRST)),
    ((4, 6), layers.DepthwiseConv1D(3, **FIRST)),
    ((2, 5, 6), layers.DepthwiseConv2D(3, depth_multiplier=2, **FIRST)),
    ((3, 6), layers.SeparableConv1D(4, 3, **FIRST)),
    ((3, 5, 6), layers.SeparableConv2D(4, 3, **FIRST)),
    ((3, 2), layers.Conv1DTranspose(4, 3, **FIRST)),
    ((3, 3, 2), layers.Conv2DTranspose(4, 3, **FIRST)),
    ((3, 2, 3, 2), layers.Conv3DTranspose(4, 3, **FIRST)),
]
# What TensorFlow computes on a CPU of these, and others like them: the axis of the bias that it
# takes, and the one where it belongs.
MISPLACED = [
    ((2, 5, 6), layers.DepthwiseConv2D(3, depth_multiplier=2, **FIRST), 3, 1),
    ((3, 6), layers.SeparableConv1D(4, 3, **FIRST), 2, 1),
    ((4, 5), layers.EinsumDense("abc,cd->abd", (4, 4), bias_axes="b"), 2, 1),
    ((4, 4, 5), layers.EinsumDense("abec,cd->abed", (4, 4, 2), bias_axes="e"), 1, 2),
]


@pytest.mark.parametrize(("shape", "layer"), AS_WIDE, ids=lambda value: type(value).__name__)
def test_a_bias_of_as_many_channels_as_columns_is_refused(shape, layer):
    reasons = complaints(keras.Sequential([keras.Input(shape), layer]))
    assert len(reasons) == 1
    assert "data_format='channels_last', use_bias=False" in reasons[0]


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, use_bias=False, **FIRST),
        layers.Conv2D(1, (3, 6), **FIRST),
        layers.Conv2D(3, 3, **FIRST),
        layers.Conv2D(4, (2, 3), data_format="channels_last"),
    ],
)
def test_every_other_bias_is_compiled(layer):
    assert not complaints(keras.Sequential([keras.Input((2, 5, 6)), layer]))


def test_no_backend_but_tensorflow_adds_it_so(monkeypatch):
    monkeypatch.setattr("keras2dml.rules.misplaced_sums.is_tensorflow", lambda: False)
    assert not complaints(keras.Sequential([keras.Input((2, 5, 6)), layers.Conv2D(4, 3, **FIRST)]))


@pytest.mark.parametrize(
    ("shape", "layer", "taken", "right"), MISPLACED, ids=lambda value: type(value).__name__
)
def test_keras_adds_these_along_another_axis(shape, layer, taken, right):
    built = model(shape, layer)
    x, (*kernels, bias) = np.ones((3, *shape)), built.get_weights()
    with_bias = np.asarray(built(x))
    built.set_weights([*kernels, np.zeros_like(bias)])
    added = with_bias - np.asarray(built(x))
    along = [-1 if axis == taken else 1 for axis in range(added.ndim)]
    near(added, np.broadcast_to(bias.reshape(along), added.shape), 1e-6)
    (reason,) = complaints(built)
    assert f"adds it along axis {taken}, and not {right}" in reason


def gated() -> keras.Model:
    """A number for each example, added to four."""
    x = keras.Input((3,))
    four, one = layers.Dense(4)(x), layers.Dense(1, activation="tanh")(x)
    built = seeded(keras.Model(x, layers.Softmax()(layers.Add()([four, one * one]))))
    built.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return built


def test_batches_that_keras_takes_for_channels_are_refused():
    """docs/decisions/sums-in-batches.md: it adds a number for each of four examples to one of four
    channels.
    """
    built = gated()
    x = examples(built, 8)
    fours = built.predict(x, batch_size=4, verbose=0)  # first: Keras keeps what it traces
    assert np.abs(fours - built.predict(x, batch_size=3, verbose=0)).max() > 0.01
    graph = Compilation.of(built).graph
    with pytest.raises(InvalidData, match="put the smaller operand first"):
        check(graph, 4, 8, eager=False)
    for batch_size, rows in [(4, 10), (3, 8), (8, 8)]:
        check(graph, batch_size, rows, eager=False)
    check(graph, 3, 8, eager=True)
    for batch_size, rows in [(4, 10), (5, 9)]:  # step by step each batch has its size
        with pytest.raises(InvalidData, match="In batches of 4 Keras"):
            check(graph, batch_size, rows, eager=True)


def test_measured_in_steps_keras_takes_each_batch_of_four_for_channels():
    """What `eager` is for: fit of a model that is compiled with run_eagerly, in batches of 4, 3."""
    compiled = gated()
    eager = gated()
    eager.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    x, y = examples(compiled, 7), np.arange(7) % 4
    right = compiled.evaluate(x, y, batch_size=4, verbose=0)
    assert abs(eager.evaluate(x, y, batch_size=4, verbose=0) - right) > 1e-4
    assert abs(eager.evaluate(x, y, batch_size=5, verbose=0) - right) < 1e-6
    assert Compilation.of(eager).configuration.eager
    assert not Compilation.of(compiled).configuration.eager


@pytest.mark.spark
@pytest.mark.systemds
def test_other_batches_train_as_keras(spark):
    built = gated()
    x, y = examples(built, 10), np.arange(10) % 4
    ours = Keras2DML(spark, built, display=0)
    near(ours.predict_proba(x[:4]), built.predict(x, batch_size=3, verbose=0)[:4], 1e-9)
    with pytest.raises(InvalidData, match="In batches of 4 Keras"):
        ours.fit(x[:8], y[:8], batch_size=4, epochs=1)
    with pytest.raises(InvalidData, match="Give another validation_batch_size"):
        ours.fit(x, y, validation_data=(x[:4], y[:4]), validation_batch_size=4, epochs=1)
    with pytest.raises(InvalidData, match="Give another batch_size"):
        ours.evaluate(x[:8], y[:8], batch_size=4)
    ours.fit(x, y, batch_size=4, epochs=1, shuffle=False)
    built.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    for weight, expected in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(weight, expected, 1e-8)


@pytest.mark.spark
@pytest.mark.systemds
def test_one_example_at_a_time(spark):
    """Of one example a column is a bias, too."""
    x = keras.Input((4, 3))
    built = keras.Model(x, layers.Dense(4)(x) + layers.Dense(1)(x))
    built.compile("sgd", "mse")
    with pytest.raises(InvalidData, match="In batches of 1 Keras"):
        Keras2DML(spark, built, display=0).fit(np.ones((2, 4, 3)), np.ones((2, 4, 4)), batch_size=1)
