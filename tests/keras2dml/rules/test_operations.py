"""Keras' operations, operators and slices score and learn as in Keras; all else is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from operation_cases import COMMON, KINDS, NUMBERS, TIES
from oracle import agrees, complaints, learns, near, seeded

from keras2dml import Keras2DML

EDGES = np.array([-6, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 6])


def sides(cases, names):
    """A model of an image with an output for each case, of values that lie in different orders."""
    x = keras.Input((2, 2, 5))
    h = ops.reshape(layers.Conv2D(3, 1)(x), (-1, 4, 3))
    g = layers.Dense(3)(layers.Reshape((4, 5))(x))
    outputs = [cases[name](h, g) for name in names]
    return keras.Model(x, [out if len(out.shape) > 1 else out[:, None] for out in outputs])


def ended(built):
    """Probabilities to which each output of a model adds."""
    sums = [layers.Dense(3)(layers.Flatten()(output)) for output in built.outputs]
    return keras.Model(built.input, ops.softmax(layers.Add()(sums) if len(sums) > 1 else sums[0]))


def follows_keras(spark, cases, *, sparse=True):
    built = seeded(sides(cases, [*cases]))
    agrees(spark, built, sparse=sparse, single=False)
    learns(spark, seeded(ended(built)), single=False, steps=3)


@pytest.mark.spark
@pytest.mark.systemds
def test_common_operations_score_and_learn_as_keras(spark):
    follows_keras(spark, COMMON, sparse=False)


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.filterwarnings("ignore:NotImplemented should not be used")  # Keras' tensordot
def test_operations_score_and_learn_as_keras(spark, kind):
    follows_keras(spark, KINDS[kind])


@pytest.mark.spark
@pytest.mark.systemds
def test_gradients_of_equal_numbers_are_as_keras(spark):
    """A Dense that changes nothing, so that what goes in is where functions bend."""
    x = keras.Input(EDGES.shape)
    h = layers.Dense(EDGES.size)(x)
    built = seeded(ended(keras.Model(x, [case(h) for case in TIES.values()])))
    weights = built.get_weights()
    built.set_weights(
        [np.eye(EDGES.size), np.zeros(EDGES.size), *(one / 50 for one in weights[2:])]
    )
    built.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    features, labels = np.stack([EDGES, EDGES[::-1], EDGES]), np.arange(3)
    ours = Keras2DML(spark, built, batch_size=3, max_iter=1, display=0).fit(features, labels)
    built.train_on_batch(features, labels)
    for found, trained in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, trained, 1e-8)


def refused(function, shape=(4, 3), dtype=None):
    x = keras.Input(shape, dtype=dtype)
    return " ".join(complaints(keras.Model(x, function(x))))


EXAMPLES = "splits, moves or counts the examples"


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: x[0], EXAMPLES),
        (lambda x: ops.reshape(x, (-1, 3)), EXAMPLES),
        (lambda x: ops.transpose(x, (1, 0, 2)), EXAMPLES),
        (lambda x: ops.expand_dims(x, 0), EXAMPLES),
        (lambda x: ops.concatenate([x, x]), EXAMPLES),
        (lambda x: ops.stack([x, x]), EXAMPLES),
        (ops.flip, EXAMPLES),
        (lambda x: ops.roll(x, 35, axis=0), EXAMPLES),
        (lambda x: ops.take(x, [0, 1], axis=0), EXAMPLES),
        (lambda x: ops.repeat(x, 2, axis=0), EXAMPLES),
        (lambda x: ops.pad(x, 1), EXAMPLES),
        (lambda x: ops.squeeze(x[:, :1]), "also squeezes a batch of one. Give it axes"),
        (lambda x: x * ops.mean(x), "goes over all axes, including the examples"),
        (lambda x: x * ops.max(x, axis=(0, 1)), "has axis=(0, 1), but axis 0 is the examples"),
        (lambda x: ops.softmax(x, axis=0), "has axis=0, but axis 0 is the examples"),
        (lambda x: ops.einsum("bij,ckj->bcik", x, x), "multiplies examples with each other"),
        (lambda x: ops.dot(NUMBERS.T, x), "multiplies examples with each other"),
        (lambda x: x + ops.ones((2, 4, 3)), "values of the same rank whose shapes broadcast"),
        (lambda x: x[:, :3] + NUMBERS[:3, :1], "Keras on TensorFlow adds it along axis 2"),
        (lambda x: x * keras.Variable(np.ones(3)), "takes a variable that no layer"),
        (lambda x: x / np.array([1, 0, 2]), "divides by 0"),
        (lambda x: x * np.inf, "takes infinite numbers"),
        (
            lambda x: ops.take(x, ops.cast(x[:, 0, 0], "int32"), axis=1),
            "indices that layers compute",
        ),
        (lambda x: ops.cast(x, "float16"), "casts to float16"),
        (lambda x: ops.cast(x, "float32"), "rounds float64 to float32"),
        (lambda x: ops.clip(x, np.zeros(3), 1), "was created with an array"),
        (ops.sort, "(Sort) is not compiled. `python -m keras2dml support` lists the operations"),
        (lambda x: ops.norm(x, ord=3, axis=-1), "has ord=3. Only 1, 2 and infinity"),
        (lambda x: ops.mean(x, axis=(1, 2)), "Output 'mean' is one number for each example"),
    ],
)
def test_other_operations_are_refused_by_name(function, match):
    assert match in refused(function)


def test_whole_numbers_that_end_early_are_refused():
    assert "computes in uint8, which has less range" in refused(lambda x: x - 128, dtype="uint8")
    assert refused(lambda x: ops.cast(x, "float64") - 128, dtype="uint8") == ""
    assert refused(lambda x: x[:, ::-1] / 255, dtype="uint8") == ""


def test_no_operation_is_refused_for_one_of_its_name():
    """Keras has layers and operations of one name, which have rules of their own."""
    x = keras.Input((4, 3))
    spectrum = layers.MelSpectrogram(fft_length=2, sequence_stride=1, num_mel_bins=2)
    built = keras.Model(x, ops.sort(spectrum(keras.activations.relu(x, 0.1))))
    layer, operation = complaints(built)
    assert "(MelSpectrogram) is not compiled. `python -m keras2dml support` lists" in layer
    assert "Operation 'sort' (Sort) is not compiled. `python -m" in operation
