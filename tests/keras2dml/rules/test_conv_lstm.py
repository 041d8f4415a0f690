"""ConvLSTM scores and learns as Keras does."""

from __future__ import annotations

import keras
import pytest
from keras import layers
from oracle import examples, learns, listed, near, seeded

from keras2dml import Keras2DML, UnsupportedModel

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

LONG = pytest.mark.long
IMAGES, LINES = (4, 5, 6, 2), (4, 6, 2)
CASES = [
    (IMAGES, lambda: layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)),
    (IMAGES, lambda: layers.ConvLSTM2D(2, (2, 3), strides=(2, 1), go_backwards=True)),
    (IMAGES, lambda: layers.ConvLSTM2D(2, 2, dilation_rate=2, use_bias=False)),
    (IMAGES, lambda: layers.ConvLSTM2D(2, 3, activation="relu", recurrent_activation="elu")),
    (LINES, lambda: layers.ConvLSTM1D(3, 2, padding="same", return_sequences=True)),
    (LINES, lambda: layers.ConvLSTM1D(3, 3, strides=2)),
]


def scores_as_keras(spark, built: keras.Model) -> None:
    """Which ONNX does not."""
    features = examples(built, 5)
    outputs = Keras2DML(spark, built, display=0).outputs(features)
    for ours, theirs in zip(outputs, listed(built(features, training=False)), strict=True):
        near(ours, theirs, 1e-9)


@LONG
@pytest.mark.parametrize(("shape", "made"), CASES)
def test_layer_scores_and_learns_as_keras(spark, shape, made):
    x = keras.Input(shape)
    flat = layers.Flatten()(made()(layers.Dense(2, activation="tanh")(x)))
    built = seeded(keras.Model(x, layers.Dense(3, activation="softmax")(flat)))
    scores_as_keras(spark, built)
    learns(spark, built, steps=3)


@LONG
def test_states_go_in_and_come_out_as_in_keras(spark):
    x = keras.Input(IMAGES)
    same = {"padding": "same", "return_state": True}
    last, state, cell = layers.ConvLSTM2D(2, 3, **same)(x)
    again = layers.ConvLSTM2D(2, 3, return_sequences=True, **same)(x, initial_state=[state, cell])
    scores_as_keras(spark, seeded(keras.Model(x, [last, state, cell, *again])))


def test_dropout_for_each_gate_and_onnx_are_refused(spark, tmp_path):
    x = keras.Input(LINES)
    ours = Keras2DML(spark, keras.Model(x, layers.ConvLSTM1D(2, 3, dropout=0.1)(x)), display=0)
    with pytest.raises(UnsupportedModel, match="drops other elements for each gate"):
        ours.get_training_script()
    with pytest.raises(UnsupportedModel, match="'conv_lstm', which cannot be exported to ONNX"):
        ours.to_onnx(tmp_path / "model.onnx")
