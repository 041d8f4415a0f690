"""Masks where they are easily lost: operations that give what they take, attention scores, and
functions of users on masked outputs.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracle import complaints, near, seeded

from keras2dml import Keras2DML

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")
ROWS = np.random.default_rng(3).normal(size=(9, 3, 4))
ROWS[::2, 1] = 0  # a step that is masked


def masked() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An input of three steps, and what Masking makes of it."""
    begin = keras.Input((3, 4), dtype="float64")
    return begin, layers.Masking(dtype="float64")(begin)


@pytest.mark.systemds
@pytest.mark.spark
def test_operations_that_return_their_input_keep_its_mask(spark):
    begin, x = masked()
    handed_on = (
        ops.cast(x, "float64"),
        ops.convert_to_tensor(x),
        ops.moveaxis(x, 1, 1),
        ops.reshape(x, (-1, 3, 4)),
        ops.transpose(x, (0, 1, 2)),
        ops.stop_gradient(x),
        x[:, :],
        x * 1.0,
    )
    sequences = [layers.GRU(2, dtype="float64")(tensor) for tensor in handed_on]
    built = seeded(keras.Model(begin, sequences))
    outputs = Keras2DML(spark, built, display=0).outputs(ROWS)
    for ours, theirs in zip(outputs, built(ROWS), strict=True):
        near(ours, np.asarray(theirs), 1e-9)


@pytest.mark.parametrize("causal", [False, True])
def test_masked_scores_of_attention_are_no_output(causal):
    begin, x = masked()
    attend = layers.MultiHeadAttention(2, 2, name="attention")
    _, scores = attend(x, x, use_causal_mask=causal, return_attention_scores=True)
    reason = "Layer 'attention' (MultiHeadAttention) has or gets attention scores with a mask"
    plain = layers.MultiHeadAttention(2, 2)(begin, begin, return_attention_scores=True)[1]
    for tensor, begins in (
        (scores, [reason]),
        (layers.Reshape((2, 3, 3))(scores), []),
        (plain, []),
    ):
        built = keras.Model(begin, tensor)
        built.compile("sgd", "mse")
        assert [complaint[: len(reason)] for complaint in complaints(built)] == begins


WHOLE = {
    "loss": lambda y, p: ops.mean(ops.square(y - p)),
    "loss of examples": lambda y, p: ops.mean(ops.square(y - p), (1, 2)),
    "elements": lambda y, p: ops.square(y - p),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_function_of_a_masked_output_gives_a_number_for_each_step(name):
    begin, x = masked()
    built = keras.Model(begin, layers.Dense(2, dtype="float64")(x))
    built.compile("sgd", WHOLE[name])
    assert "has a mask of shape (3,), and the loss" in complaints(built)[0]
    built.compile("sgd", "mse", metrics=[WHOLE[name]])
    assert (
        "has a mask, and the metric 'lambda' does not return a single number"
        in complaints(built)[0]
    )


@pytest.mark.systemds
@pytest.mark.spark
def test_a_metric_of_steps_regards_the_mask(spark):
    begin, x = masked()
    built = seeded(keras.Model(begin, layers.Dense(2, dtype="float64")(x)))

    def distance(y, p):
        return ops.mean(ops.abs(y - p), -1)

    built.compile("sgd", distance, metrics=[distance])
    targets = ROWS[:, :, :2] + 1
    ours = Keras2DML(spark, built, batch_size=4, display=0)
    ours.fit(ROWS, targets, epochs=2, shuffle=False)
    theirs = built.fit(ROWS, targets, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for name, values in theirs.history.items():
        near(np.array(ours.history[name]), np.array(values), 1e-6)
