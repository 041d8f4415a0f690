"""The arguments of SystemML's constructor do what they did there."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization, Dense
from oracle import WEIGHTS, examples, model, near

from keras2dml import InvalidData, Keras2DML, UnsupportedModel

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

ROWS, BATCH, EPOCHS = 9, 5, 4
RATES = {  # after e of EPOCHS epochs, with gamma 0.5, step 2 and power 0.75
    "fixed": lambda e: 1.0,
    "step": lambda e: 0.5 ** (e // 2),
    "exp": lambda e: 0.5**e,
    "inv": lambda e: (1 + 0.5 * e) ** -0.75,
    "poly": lambda e: (1 - e / EPOCHS) ** 0.75,
    "sigmoid": lambda e: 1 / (1 + np.exp(-0.5 * (e - 2))),
}


def compiled(*layers: keras.Layer) -> keras.Model:
    built = model((4,), *layers or (Dense(5, "tanh"), Dense(3, "softmax")))
    optimizer = keras.optimizers.SGD(0.3, momentum=0.5)
    built.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    return built


@pytest.mark.parametrize("policy", RATES)
def test_rate_falls_with_the_epochs(spark, policy):
    built = compiled()
    features, labels = examples(built, ROWS), np.arange(ROWS) % 3
    constants = {"gamma": 0.5, "step": 2}
    ours = Keras2DML(
        spark,
        built,
        batch_size=BATCH,
        display=0,
        lr_policy=policy,
        lr_policy_parameters=constants,
    )
    ours.fit(features, labels, epochs=EPOCHS, shuffle=False)
    for epoch in range(EPOCHS):
        built.optimizer.learning_rate = 0.3 * RATES[policy](epoch)
        for begin in range(0, ROWS, BATCH):
            rows = slice(begin, begin + BATCH)
            built.train_on_batch(features[rows], labels[rows])
    # Keras keeps a rate in float32.
    near(ours.to_keras().get_weights()[0], built.get_weights()[0], 1e-6)


def test_rate_stays_by_default(spark):
    ours = Keras2DML(spark, compiled())
    assert ours.lr_policy == "step"
    np.testing.assert_array_equal(ours._policy.shares(np.arange(1000), 1000), np.ones(1000))


@pytest.mark.parametrize(
    ("kind", "regularizer"),
    [("L1", keras.regularizers.L1(0.25)), ("L2", keras.regularizers.L2(0.125))],
)
def test_weight_decay_is_on_every_kernel(spark, kind, regularizer):
    """The gradient of L2 is 0.25 times the kernel: Keras' loses a half."""
    layers = Dense(5, "tanh"), BatchNormalization(), Dense(3, "softmax")
    plain = compiled(*layers)
    regular = compiled(
        Dense(5, "tanh", kernel_regularizer=regularizer),
        BatchNormalization(),
        Dense(3, "softmax", kernel_regularizer=regularizer),
    )
    features, labels = examples(plain, ROWS), np.arange(ROWS) % 3
    ours = Keras2DML(
        spark,
        plain,
        batch_size=ROWS,
        max_iter=3,
        display=0,
        weight_decay=0.25,
        regularization_type=kind,
    ).fit(features, labels)
    for step in ours.iterations:
        near(np.array(step.loss), np.asarray(regular.train_on_batch(features, labels)), 1e-8)
        regular.reset_metrics()
    for found, wanted in zip(ours.to_keras().get_weights(), regular.get_weights(), strict=True):
        near(found, wanted, WEIGHTS["float64"])


def test_weights_can_be_new_ones(spark):
    built = compiled()
    fresh = Keras2DML(spark, built, load_keras_weights=False).to_keras()
    kernel, bias = fresh.get_weights()[:2]
    assert not np.allclose(kernel, built.get_weights()[0])
    np.testing.assert_array_equal(bias, 0)
    assert fresh.compiled


def test_labels_of_a_file_are_predicted(spark, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("2,beta\n1,gamma\n3,alpha\n")
    built = compiled()
    features, numbers = examples(built, ROWS), np.arange(ROWS) % 3
    ours = Keras2DML(spark, built, labels=file, batch_size=BATCH, max_iter=2, display=0)
    names = np.array(["gamma", "beta", "alpha"])
    trained = [
        ours.set_params(seed=1).fit(features, numbers).to_keras().get_weights()[0],
        Keras2DML(spark, built, labels=file, batch_size=BATCH, max_iter=2, display=0)
        .fit(features, names[numbers])
        .to_keras()
        .get_weights()[0],
    ]
    np.testing.assert_array_equal(*trained)
    wanted = names[ours.predict_proba(features).argmax(axis=1)]
    np.testing.assert_array_equal(ours.predict(features), wanted)
    assert ours.score(features, names[numbers]) == ours.score(features, numbers)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"lr_policy": "cosine"}, "lr_policy is 'cosine': give one of fixed, step, exp"),
        ({"lr_policy_parameters": {"rate": 2}}, "lr_policy_parameters has rate: give gamma"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"regularization_type": "L3"}, "regularization_type 'L3'"),
        ({"labels": "nowhere.csv"}, "labels in nowhere.csv cannot be read"),
    ],
)
def test_argument_is_refused(spark, given, match):
    with pytest.raises(InvalidData, match=match):
        Keras2DML(spark, compiled(), **given)


def test_labels_must_be_all(spark, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("1,a\n2,b\n")
    with pytest.raises(
        InvalidData, match="has 2 labels, but the model has 3 classes: number all of them"
    ):
        Keras2DML(spark, compiled(), labels=file)


def test_two_regularizers_of_a_kernel_are_refused(spark):
    built = compiled(Dense(3, "softmax", kernel_regularizer="l2", name="last"))
    with pytest.raises(UnsupportedModel, match="'last' has its own kernel_regularizer"):
        Keras2DML(spark, built, weight_decay=0.1)
