"""What cannot be compiled faithfully is refused before anything runs, all complaints at once."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.activations import threshold
from keras.layers import (
    LSTM,
    RNN,
    AutoContrast,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Hashing,
    Masking,
    MaxPooling2D,
    MultiHeadAttention,
    RMSNormalization,
    SimpleRNN,
    SimpleRNNCell,
    Softmax,
    StackedRNNCells,
    TimeDistributed,
    UnitNormalization,
)
from oracle import complaints, model

IMAGE = (8, 6, 2)


class OwnCell(SimpleRNNCell):
    """A cell of a user's."""


class OwnStack(StackedRNNCells):
    """Cells of which a user's class makes something else."""


REFUSED = [
    (
        IMAGE,
        Conv2D(3, 3, activation=threshold),
        "has the activation 'threshold', which cannot be traced",
    ),
    ((7,), Dense(3, dtype="mixed_float16"), "dtype 'mixed_float16'"),
    ((7,), Dropout(0.2, noise_shape=(1, 7)), r"noise_shape=\(1, 7\). Each example has"),
    (IMAGE, BatchNormalization(renorm=True, name="bn"), r"'bn' \(BatchNormalization\) has renorm"),
    ((4, 3), UnitNormalization(axis=0), r"axis=0, but axis 0 is the examples"),
    ((4, 4), RMSNormalization(axis=1), r"axis=\[1\], but its scale applies to the last axes"),
    (
        (4, 3),
        RNN(OwnCell(2)),
        r"The cell .* \(OwnCell\) is not compiled. Use one of SimpleRNNCell",
    ),
    ((4, 3), RNN(OwnStack([SimpleRNNCell(2)])), r"The cell .* \(OwnStack\) is not compiled"),
    ((4,), Masking(), "only compiled for sequences"),
    (
        (4, 3),
        SimpleRNN(2, activation="gelu"),
        "has activation 'gelu', which is not compiled in recurrent",
    ),
    ((4, 3), Bidirectional(LSTM(2, "swish", name="s")), r"'forward_s' \(LSTM\) has activation"),
    ((4, 3), TimeDistributed(BatchNormalization(name="n")), "a layer 'n' that learns from each"),
    (
        IMAGE,
        AutoContrast(),
        r"\(AutoContrast\) is not compiled. `python -m keras2dml support`",
    ),
    ((4, 7), Hashing(7), r"\(Hashing\) is not compiled. Matrices hold numbers: apply the layer"),
    ((None, 6, 2), MaxPooling2D(), r"open shape \(None, 6, 2\). Every size but the batch"),
]


@pytest.mark.parametrize(
    ("shape", "layer", "match"), REFUSED, ids=lambda value: type(value).__name__
)
def test_layer_is_refused(shape, layer, match):
    built = keras.Sequential([keras.Input(shape), layer])
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(complaints(built))


@pytest.mark.parametrize("axis", [0, -3])
@pytest.mark.parametrize("kind", [BatchNormalization, Concatenate])
def test_the_examples_are_no_axis(kind, axis):
    x = keras.Input(batch_shape=(2, 3, 2))
    built = keras.Model(x, kind(axis)([x, x] if kind is Concatenate else x))
    assert f"has axis={axis}, " in " ".join(complaints(built))


@pytest.mark.parametrize(
    ("arguments", "how", "match"),
    [
        ({"attention_axes": 2}, {}, r"has attention_axes=\(2,\)"),
        ({"value_dim": 1}, {}, r"adds \(2, 1\) to \(2, 2, 1\)"),
        ({}, {"query_mask": np.ones((1, 2))}, "is called with query_mask"),
        ({}, {"attention_mask": np.tri(2)[None].repeat(3, 0)}, "begin its shape with 1"),
        ({}, {"attention_mask": np.tri(2)[None, None].repeat(2, 1)}, "differs between heads"),
    ],
)
def test_attention_is_refused(arguments, how, match):
    x = keras.Input((2, 3, 4) if "attention_axes" in arguments else (2, 4))
    built = keras.Model(x, MultiHeadAttention(2, 3, **arguments)(x, x, **how))
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(complaints(built))


def test_all_complaints_come_at_once():
    built = model(
        IMAGE,
        BatchNormalization(renorm=True),
        Hashing(7),
        Flatten(),
        Dense(4, threshold),
    )
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    built.compile(optimizer, loss="ctc", metrics=[keras.metrics.Mean()])
    said = " ".join(complaints(built))
    for part in ("renorm=True", "Hashing", "'threshold'", "LossScaleOptimizer", "'ctc'", "(Mean)"):
        assert part in said


@pytest.mark.parametrize(
    ("how", "match"),
    [
        (
            {"loss": {"classes": "mse"}},
            "loss is {'classes': 'mse'}. The model has the outputs last",
        ),
        ({"loss": None}, "Output 'last' has no loss: give it one."),
    ],
)
def test_what_fits_no_output_is_refused(how, match):
    built = model((7,), Dense(3, "softmax", name="last"))
    built.compile("sgd", **how)
    assert match in " ".join(complaints(built))


def test_a_softmax_of_which_keras_takes_other_logits_is_refused():
    built = model((4, 3), Softmax(axis=1))
    built.compile("sgd", "categorical_crossentropy")
    assert "follows a softmax over another axis than the last" in complaints(built)[0]


def test_shapes_of_models_are_refused():
    assert "It has no input shape yet" in " ".join(complaints(keras.Sequential([Dense(3)])))


def test_compiled_models_have_no_complaints():
    built = model(IMAGE, Conv2D(3, 3), MaxPooling2D(), Flatten(), Dense(3, "softmax"))
    built.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert complaints(built) == ()
