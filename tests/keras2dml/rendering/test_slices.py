"""Embeddings whose numbers come again in a batch learn as in Keras on TensorFlow."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras import layers, optimizers
from oracle import WEIGHTS, examples, learns, model, near, seeded

from keras2dml import InvalidData, Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

KINDS = [
    *(optimizers.SGD(0.1, momentum=0.9), optimizers.Adam(0.01), optimizers.AdamW(0.01)),
    *(optimizers.Adam(0.01, amsgrad=True), optimizers.Adamax(0.01), optimizers.Nadam(0.01)),
    *(optimizers.RMSprop(0.01), optimizers.RMSprop(0.01, momentum=0.5, centered=True)),
    *(optimizers.Adagrad(0.1), optimizers.Adadelta(1.0), optimizers.Ftrl(0.1)),
    optimizers.Lion(0.01),
]
AROUND = [
    *({"clipnorm": 0.02}, {"clipvalue": 0.003}, {"global_clipnorm": 0.02}),
    *({"weight_decay": 0.05}, {"gradient_accumulation_steps": 2}, {"use_ema": True}),
]


def named(case: object) -> str:
    return type(case).__name__


def looked_up(**arguments: object) -> keras.Model:
    """Numbers from 0 to 2, eight in a row."""
    return model(
        (8,),
        layers.Rescaling(2.0),
        layers.Embedding(19, 3, **arguments),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    )


@pytest.mark.parametrize("optimizer", KINDS, ids=named)
def test_numbers_that_come_again_learn_as_keras(spark, optimizer):
    learns(spark, looked_up(), optimizer=type(optimizer).from_config(optimizer.get_config()))


@pytest.mark.parametrize(
    ("optimizer", "moved"),
    [
        (optimizers.Adam(0.01), (0.014142, 0.01)),
        (optimizers.RMSprop(0.01), (0.0447, 0.0316)),
        (optimizers.Adagrad(0.01), (0.0141, 0.00996)),
    ],
    ids=named,
)
def test_a_number_that_is_given_twice_moves_further(spark, optimizer, moved):
    built = model((3,), layers.Embedding(4, 1), layers.GlobalAveragePooling1D())
    before = built.get_weights()[0].ravel()
    built.compile(optimizer, "mse")
    ours = Keras2DML(spark, built, batch_size=1, max_iter=1, display=0)
    ours.fit(np.array([[0, 0, 1]]), np.array([[5.0]]))
    after = ours.to_keras().get_weights()[0].ravel()
    np.testing.assert_allclose((after - before)[:2], moved, rtol=4e-3)


@pytest.mark.parametrize("arguments", AROUND, ids="-".join)
@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.Adamax], ids=["squares", "sizes"])
def test_what_surrounds_the_step_is_as_keras(spark, kind, arguments):
    built = looked_up()
    eagerly = "gradient_accumulation_steps" not in arguments
    built.compile(kind(0.01, **arguments), "sparse_categorical_crossentropy", run_eagerly=eagerly)
    features, labels = examples(built, 24), np.arange(24) % 3
    fits_as_keras(spark, built, features, labels)


def fits_as_keras(spark, built, features, labels, rows=6, **settings):
    ours = Keras2DML(spark, built, batch_size=6, display=0).set(**settings)
    ours.fit(features, labels, epochs=1, shuffle=False)
    built.fit(features, labels, batch_size=rows, shuffle=False, verbose=0)
    for trained, wanted in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(trained, wanted, WEIGHTS["float64"])


def tied() -> keras.Model:
    """One table for two inputs."""
    table, inputs = layers.Embedding(9, 3), [keras.Input((4,)), keras.Input((2,))]
    looked = [layers.Flatten()(table(layers.Rescaling(1.5)(one))) for one in inputs]
    return seeded(
        keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Concatenate()(looked)))
    )


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.Adamax], ids=["squares", "sizes"])
def test_what_is_added_to_a_gradient_or_done_after_it_is_as_in_keras(spark, kind):
    cases = {
        "tied": tied(),
        "regularizer": looked_up(embeddings_regularizer="l2"),
        "constraint": looked_up(embeddings_constraint="non_neg"),
    }
    learns(spark, together(cases), optimizer=kind(0.01))


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.Adamax], ids=["squares", "sizes"])
@pytest.mark.parametrize(
    ("algorithm", "rows"),
    [("looped_minibatch", 18), ("allreduce", 6), ("allreduce_parallel_batches", 18)],
)
def test_batches_in_parts_learn_as_keras(spark, kind, algorithm, rows):
    built = looked_up()
    built.compile(kind(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    features, labels = examples(built, 36), np.arange(36) % 3
    settings = {"train_algo": algorithm, "parallel_batches": 3}
    fits_as_keras(spark, built, features, labels, rows, **settings)


@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.Adamax], ids=["squares", "sizes"])
def test_workers_share_a_step(spark, kind):
    """Of one worker's rows, so that Keras has the same batches."""
    built = looked_up()
    built.compile(kind(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    features, labels = examples(built, 24), np.arange(24) % 3
    fits_as_keras(spark, built, features, labels, train_algo="paramserv", parallel_batches=1)


def test_what_workers_would_clip_otherwise_is_refused(spark):
    built = looked_up()
    built.compile(optimizers.Adam(clipvalue=0.1), "sparse_categorical_crossentropy")
    ours = Keras2DML(spark, built, display=0).set(train_algo="paramserv", parallel_batches=2)
    with pytest.raises(InvalidData, match=r"clipvalue is for each number that embedding_W looks"):
        ours.fit(np.zeros((64, 8)), np.zeros(64, int))
