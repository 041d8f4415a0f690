"""Functions of a user's, made of Keras' operations, as layers and activations."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from keras.layers import (
    Activation,
    Conv2D,
    Dense,
    Flatten,
    Lambda,
    LeakyReLU,
    TimeDistributed,
)
from oracle import agrees_and_learns, complaints, examples, learns, model, near, seeded

from keras2dml import Keras2DML

SEQUENCE = (4, 5)


def swoosh(x):
    return x * ops.sigmoid(2 * x)


def over_steps(x):
    return ops.softmax(x, axis=1)


def drawn(x):
    return x + np.random.normal(size=5)


def in_tensorflow(x):
    return tf.reduce_mean(x, axis=-1)


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.systemds
def test_functions_score_and_learn_as_keras(spark):
    built = model(
        (5, 4, 2),
        Conv2D(4, 2, activation=lambda x: ops.maximum(x, 0.1 * x)),
        Conv2D(4, 2, activation=over_steps),
        Lambda(lambda x, factor: ops.sum(x, axis=1) * factor, arguments={"factor": 2.0}),
        TimeDistributed(Dense(6, activation=swoosh)),
        model((2, 6), Dense(6, activation=LeakyReLU(negative_slope=0.1)), Activation(over_steps)),
        Lambda(lambda x: ops.concatenate([x[:, 0], ops.max(x, axis=1)], axis=-1)),
        Activation(lambda x: keras.activations.threshold(x, 0.1, 0.0)),
        Dense(3, activation=ops.softmax),
    )
    agrees_and_learns(spark, built, single=False)


@pytest.mark.spark
@pytest.mark.systemds
def test_halves_are_gates_as_in_keras(spark):
    """Keras tells the layers behind `glu` of the whole axis: it has to be the last one."""
    built = model(SEQUENCE, Flatten(), Dense(6, activation="glu"))
    features, targets = examples(built, 5), np.ones((5, 3))
    built.compile("sgd", "mse", run_eagerly=True)
    ours = Keras2DML(spark, built, batch_size=5, max_iter=1, display=0).fit(features, targets)
    near(ours.predict(features), np.asarray(ours.to_keras()(features)), 1e-9)
    built.train_on_batch(features, targets)
    for found, trained in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, trained, 1e-8)


@pytest.mark.spark
@pytest.mark.systemds
def test_losses_look_through_operations_as_in_keras(spark):
    """Of probabilities next to 0 and 1 the logits tell more."""
    x = keras.Input((5,))
    steep = Lambda(lambda x: 60.0 * x)(Dense(3)(x))
    outputs = [
        ops.softmax(steep),
        ops.cast(ops.sigmoid(steep), "float64"),
        Activation(lambda x: ops.softmax(x, axis=1))(steep),
        ops.softmax(steep) * 1.0,
    ]
    kind = "categorical_crossentropy"
    learns(
        spark,
        seeded(keras.Model(x, outputs)),
        loss=[kind, "binary_crossentropy", kind, kind],
        optimizer=keras.optimizers.SGD(1e-3),
        steps=3,
    )


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (Lambda(drawn), "has the function 'drawn', which uses other numbers each time"),
        (
            Lambda(in_tensorflow),
            "which cannot be traced (ValueError: A KerasTensor cannot be used",
        ),
        (Lambda(Dense(3, name="inner")), "which calls the layer 'inner' with variables that"),
        (Lambda(lambda x, training=None: x), "has a function that takes training. It is only"),
        (Lambda(ops.sort), "has the function 'sort': Operation 'lambda' (Sort) is not"),
        (
            Activation(lambda x: ops.mean(x, axis=0)),
            "'<lambda>': Operation 'activation' (Mean)",
        ),
        (Activation(lambda x: 1.0), "has the activation '<lambda>', which cannot be traced"),
        (Activation("threshold"), "has the activation 'threshold', which cannot be traced"),
    ],
)
def test_other_functions_are_refused_by_name(layer, match):
    layer.name = type(layer).__name__.lower()
    x = keras.Input(SEQUENCE)
    out = keras.KerasTensor((None, *SEQUENCE), "float64")
    layer.compute_output_spec = lambda *args, **kwargs: out
    said = " ".join(complaints(keras.Model(x, layer(x))))
    assert match in said


def test_what_follows_a_change_of_shape_is_refused():
    built = model(SEQUENCE, Dense(6), Activation("glu"), Dense(2, name="last"))
    assert (
        "'last' (Dense) takes examples of (4, 3), but was built for (4, 6)" in complaints(built)[0]
    )


def test_functions_leave_the_names_of_layers():
    x = keras.Input((4,))
    built = keras.Model(x, Lambda(swoosh)(x))
    complaints(built)
    assert keras.layers.Dense(2).name == "dense"
    assert ops.sigmoid(x)._keras_history.operation.name == "sigmoid"
