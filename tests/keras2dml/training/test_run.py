"""Losses, optimizers and the run itself: after k steps the weights are Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from oracle import examples, learns, model

from keras2dml import InvalidData, Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

LOSSES = ["categorical_crossentropy", "sparse_categorical_crossentropy"]


def test_losses_are_as_keras(spark):
    cases = {
        f"{loss} {activation}": model(
            (7,), Dense(5, "tanh"), Dense(3, "sigmoid"), Activation(activation)
        )
        for activation in ("softmax", "sigmoid", "relu")
        for loss in LOSSES
    }
    learns(spark, together(cases), loss=LOSSES * 3)


def test_losses_of_logits_are_as_keras(spark):
    cases = {loss: model((7,), Dense(5, "tanh"), Dense(3)) for loss in LOSSES}
    kinds = [
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ]
    learns(spark, together(cases), loss=kinds)


def test_probabilities_at_the_edge_are_clipped_as_keras(spark):
    built = model((4,), Dense(3, "sigmoid"), Activation("relu"))
    built.set_weights([40 * weight for weight in built.get_weights()])
    learns(spark, built, loss="categorical_crossentropy", steps=2)


def test_layers_that_are_not_trainable_stay(spark):
    built = model((7,), Dense(5, "tanh", trainable=False), Dense(4, "tanh"), Dense(3, "softmax"))
    learns(spark, built)


def test_shared_layer_gets_both_gradients(spark):
    x = keras.Input((5,))
    shared = Dense(5, "tanh")
    built = keras.Model(x, Dense(3, "softmax")(shared(shared(x))))
    learns(spark, built)


def lenet(dropout: float) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            Conv2D(32, 5, padding="same", activation="relu"),
            MaxPooling2D(),
            Conv2D(64, 5, padding="same", activation="relu"),
            MaxPooling2D(),
            Flatten(),
            Dense(512, activation="relu"),
            Dropout(dropout),
            Dense(10, activation="softmax"),
        ]
    )


def test_lenet_in_float32_learns_as_keras(spark):
    keras.config.set_floatx("float32")
    keras.utils.set_random_seed(1)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.95, nesterov=True)
    learns(spark, lenet(0.0), optimizer=optimizer, steps=3)


def test_uncompiled_model_gets_systemml_defaults(spark):
    built = model((7,), Dense(3, "softmax"))
    features, labels = examples(built, 12), np.arange(12) % 3
    ours = Keras2DML(spark, built, batch_size=4, max_iter=3, display=0).fit(features, labels)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.95, nesterov=True)
    built.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    built.fit(features, labels, batch_size=4, epochs=1, shuffle=False, verbose=0)
    for found, wanted in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


def test_epochs_history_and_validation_are_as_keras(spark):
    """Which has XLA compile its steps, as users have it by default."""
    built = model((7,), Dense(5, "tanh"), Dense(3, "softmax"))
    how = {"metrics": ["accuracy"], "jit_compile": True}
    built.compile("adam", "sparse_categorical_crossentropy", **how)
    features, labels = examples(built, 23), np.arange(23) % 3
    held = examples(built, 9, seed=5), np.arange(9) % 3
    ours = Keras2DML(spark, built, display=0).fit(
        features, labels, batch_size=5, epochs=3, shuffle=False, validation_data=held
    )
    theirs = built.fit(
        features, labels, batch_size=5, epochs=3, shuffle=False, validation_data=held, verbose=0
    )
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6)


def test_iterations_wrap_around_and_may_end_within_an_epoch(spark):
    built = model((7,), Dense(3, "softmax"))
    features, labels = examples(built, 10), np.arange(10) % 3
    ours = Keras2DML(spark, built, batch_size=4, max_iter=5, display=0).fit(features, labels)
    assert [step.rows for step in ours.iterations] == [4, 4, 2, 4, 4]
    assert [step.number for step in ours.iterations] == [1, 2, 3, 4, 5]
    assert len(ours.history["loss"]) == 2


def test_test_interval_keeps_the_first_batches_for_measuring(spark):
    built = model((7,), Dense(3, "softmax"))
    features, labels = examples(built, 20), np.arange(20) % 3
    ours = Keras2DML(
        spark, built, batch_size=4, max_iter=6, test_iter=2, test_interval=3, display=0
    )
    ours.fit(features, labels)
    alone = Keras2DML(spark, built, batch_size=4, max_iter=6, display=0)
    alone.fit(features[8:], labels[8:])
    np.testing.assert_array_equal(ours.predict_proba(features), alone.predict_proba(features))
    assert len(ours.history["val_loss"]) == 2
    assert ours.history["val_accuracy"][-1] == ours.score(features[:8], labels[:8])
    with pytest.raises(InvalidData, match="test_iter=5 keeps 20 of 20 rows"):
        Keras2DML(spark, built, batch_size=4, test_iter=5, test_interval=3).fit(features, labels)


def test_dropout_is_drawn_by_seed_and_keeps_the_mean(spark):
    built = model((7,), Dense(200, "relu"), Dropout(0.5), Dense(3, "softmax"))
    features, labels = examples(built, 60), np.arange(60) % 3

    def losses(seed: int) -> list[float]:
        ours = Keras2DML(spark, built, batch_size=20, max_iter=6, display=0, seed=seed)
        return [step.loss for step in ours.fit(features, labels).iterations]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_dropout_masks_differ_by_iteration_and_keep_the_mean(spark):
    built = keras.Sequential([keras.Input((400,)), Dropout(0.25), Dense(2, use_bias=False)])
    built.set_weights([np.column_stack([np.full(400, 0.01), np.zeros(400)])])
    built.compile(keras.optimizers.SGD(0.0), keras.losses.CategoricalCrossentropy(from_logits=True))
    ours = Keras2DML(spark, built, batch_size=500, max_iter=4, display=0)
    ours.fit(np.ones((500, 400)), np.zeros(500))
    # Without dropout every logit is 4, and the loss log(1 + exp(-4)); the masks spread it.
    losses = [step.loss for step in ours.iterations]
    assert len(set(losses)) == 4
    assert np.mean(losses) == pytest.approx(np.log1p(np.exp(-4)), rel=0.05)
