"""Masks go where Keras lets them go, and do there what they do in Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, losses, metrics
from oracle import complaints, examples, learns, listed, model, near, seeded, thinned

from keras2dml import Keras2DML, UnsupportedModel

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking")
LONG = pytest.mark.long
SEQUENCE = (5, 3)
ALMOST_NONE = 1e-12  # of dropout, so that nothing is drawn


def masked(*after: keras.Layer) -> keras.Model:
    """Every other batch has steps of zeros, which are masked."""
    begin = keras.Input(SEQUENCE)
    x = layers.Masking()(begin)
    for layer in after:
        x = layer(x)
    return seeded(keras.Model(begin, layers.Dense(3, activation="softmax")(x)))


def scores_as_keras(spark, built: keras.Model) -> None:
    """Where some steps, and all of one example, are masked; ONNX has no such layers."""
    features = thinned(examples(built, 9))
    features[0] = 0
    outputs = Keras2DML(spark, built, display=0).outputs(features)
    for ours, theirs in zip(outputs, listed(built(features, training=False)), strict=True):
        near(ours, theirs, 1e-9)


WEIGHTS = np.arange(125.0).reshape(25, 5)
MEASURED = [
    lambda: {
        "loss": "sparse_categorical_crossentropy",
        "weighted_metrics": ["accuracy"],
        "sample_weight": WEIGHTS,
    },
    lambda: {"loss": "mse", "metrics": ["mae", metrics.RootMeanSquaredError(dtype="float64")]},
    lambda: {"loss": losses.MeanSquaredError(reduction="sum"), "metrics": ["mse"]},
    lambda: {
        "loss": losses.CategoricalCrossentropy(reduction="mean_with_sample_weight"),
        "metrics": ["accuracy", metrics.AUC(dtype="float64")],
        "weighted_metrics": ["mae"],
        "sample_weight": WEIGHTS,
    },
]


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    "how", [MEASURED[0], *(pytest.param(how, marks=LONG) for how in MEASURED[1:])]
)
def test_losses_and_means_regard_the_mask_of_an_output(spark, how):
    built = masked(layers.LayerNormalization(), layers.Dense(4, "tanh"))
    learns(spark, built, single=False, **how())


RECURRENT = [
    lambda: layers.SimpleRNN(4, return_sequences=True),
    lambda: layers.SimpleRNN(4, recurrent_dropout=ALMOST_NONE),
    lambda: layers.LSTM(4),
    lambda: layers.LSTM(4, return_sequences=True, zero_output_for_mask=True, go_backwards=True),
    lambda: layers.LSTM(4, return_sequences=True, recurrent_dropout=ALMOST_NONE),
    lambda: layers.GRU(4, return_sequences=True),
    lambda: layers.GRU(4, recurrent_dropout=ALMOST_NONE),
    lambda: layers.GRU(4, reset_after=False, return_sequences=True, go_backwards=True),
    lambda: layers.GRU(4, reset_after=False, recurrent_dropout=ALMOST_NONE),
    lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
    lambda: layers.Bidirectional(layers.GRU(3), merge_mode="mul"),
    lambda: layers.RNN(layers.LSTMCell(4), return_sequences=True),
    lambda: layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3)], go_backwards=True),
]


@LONG
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("made", RECURRENT)
def test_recurrent_layers_keep_their_states_at_masked_steps(spark, made):
    scores_as_keras(spark, masked(made()))
    learns(spark, masked(made()), steps=3, single=False)


@LONG
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("made", RECURRENT)
def test_the_same_layers_without_a_mask(spark, made):
    learns(spark, model(SEQUENCE, made(), layers.Dense(3, "softmax")), steps=3, single=False)


@pytest.mark.spark
@pytest.mark.systemds
def test_a_reader_of_padded_texts_scores_and_learns_as_keras(spark):
    """Embedding's mask goes through Bidirectional and TimeDistributed to the mean of steps."""
    numbers = keras.Input((5,))
    x = layers.Embedding(19, 3, mask_zero=True)(layers.Rescaling(2.0)(numbers))
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True))(layers.Dropout(0.0)(x))
    x = layers.Add()([layers.TimeDistributed(layers.Dense(4))(x), x])
    x = layers.GlobalAveragePooling1D()(layers.Concatenate()([x, x]))
    built = seeded(keras.Model(numbers, layers.Dense(3, activation="softmax")(x)))
    scores_as_keras(spark, built)
    learns(spark, built, steps=2, single=False)


@LONG
@pytest.mark.spark
@pytest.mark.systemds
def test_states_are_begun_without_the_mask_that_keras_would_look_for(spark):
    x = keras.Input(SEQUENCE)
    steps = layers.Masking()(x)
    last, state, cell = layers.LSTM(3, return_state=True)(steps)
    again = layers.LSTM(3, return_sequences=True)(steps, initial_state=[state, cell])
    scores_as_keras(spark, seeded(keras.Model(x, [last, state, cell, again])))


def attended(begin: keras.KerasTensor, attend) -> keras.Model:
    found = attend(layers.Masking()(begin))
    flat = layers.Flatten()(found)
    return seeded(keras.Model(begin, layers.Dense(3, activation="softmax")(flat)))


def transformer(steps: keras.KerasTensor) -> keras.KerasTensor:
    """The second block sees no mask: the first one has taken it off."""
    seen = layers.MultiHeadAttention(2, 3)(steps, steps)
    x = layers.LayerNormalization()(layers.Add()([steps, seen]))
    return layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])


ATTENTION = [
    transformer,
    lambda x: layers.MultiHeadAttention(2, 3)(layers.Conv1D(3, 1)(x), x),
    lambda x: layers.MultiHeadAttention(2, 3)(layers.Conv1D(3, 1)(x), layers.Conv1D(3, 1)(x), x),
    lambda x: layers.MultiHeadAttention(2, 3, dropout=ALMOST_NONE)(x, x, use_causal_mask=True),
    lambda x: layers.GroupQueryAttention(2, 4, 2)(x, x, use_causal_mask=True),
    lambda x: layers.GroupQueryAttention(2, 4, 1, dropout=ALMOST_NONE)(x, x),
    lambda x: layers.Attention()([x, x]),
    lambda x: layers.Attention(score_mode="concat")([layers.Conv1D(3, 1)(x), x]),
    lambda x: layers.AdditiveAttention()([x, x], use_causal_mask=True),
]


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    "attend", [ATTENTION[0], *(pytest.param(attend, marks=LONG) for attend in ATTENTION[1:])]
)
def test_attention_regards_masks_as_keras_does(spark, attend):
    built = attended(keras.Input(SEQUENCE), attend)
    scores_as_keras(spark, built)
    learns(spark, built, steps=3, single=False)


def test_what_regards_a_mask_and_is_not_compiled_so_is_refused():
    x = keras.Input(SEQUENCE)
    steps = layers.Masking()(x)
    values = [
        layers.Multiply()([steps, steps]),
        layers.Softmax()(steps),
        layers.Concatenate(axis=1)([steps, steps]),
        layers.TimeDistributed(layers.Softmax())(steps),
    ]
    about = complaints(keras.Model(x, values))
    for part in (
        "(Multiply) gets masks, and ignores masked steps",
        "(Softmax) gets a mask from an earlier layer, and is only compiled without",
        "(Concatenate) gets masks, and concatenates them",
        "(TimeDistributed) gets a mask from an earlier layer, and passes it to its layer 'softmax",
    ):
        assert sum(part in complaint for complaint in about) == 1, about


def test_a_mask_that_may_be_removed_is_refused():
    """In training Dropout makes another tensor, which the mask of this one outlives."""
    x = keras.Input(SEQUENCE)
    steps = layers.Masking()(x)
    dropped = layers.Dropout(0.2)(steps)
    both = layers.Add()([steps, layers.MultiHeadAttention(2, 3)(dropped, dropped)])
    (about,) = complaints(keras.Model(x, both))
    assert "'add' (Add) has or gets a tensor whose mask Keras' MultiHeadAttention may" in about


@pytest.mark.spark
@pytest.mark.systemds
def test_normalization_of_masked_batches_is_for_scoring(spark):
    built = masked(layers.BatchNormalization())
    scores_as_keras(spark, built)
    with pytest.raises(UnsupportedModel, match="its statistics exclude masked steps"):
        Keras2DML(spark, built, display=0).fit(np.zeros((4, *SEQUENCE)), np.zeros((4, 5), int))


def test_masks_that_fit_no_loss_are_refused():
    built = masked()
    built.compile("sgd", "dice")
    assert "has a mask of shape (5,), and the loss 'dice'" in " ".join(complaints(built))
