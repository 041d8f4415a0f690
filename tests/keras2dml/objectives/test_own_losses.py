"""Losses and metrics made of Keras' operations, by users, are as in Keras; so are gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import losses, ops
from keras.layers import Conv2D, Dense
from oracle import complaints, examples, model, near, seeded

from keras2dml import InvalidData, Keras2DML


def error_of_rows(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def error_of_batch(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred))


def root_of_batch(y_true, y_pred):
    return ops.sqrt(ops.mean(ops.square(y_true - y_pred)) + 1e-3)


def error_of_elements(y_true, y_pred):
    return ops.abs(y_true - y_pred)


def bent(y_true, y_pred):
    error = y_true - y_pred
    size = ops.abs(error)
    return ops.mean(ops.where(size < 0.5, 0.5 * error**2, 0.5 * size - 0.125), axis=-1)


def quantile(y_true, y_pred):
    return ops.maximum(0.9 * (y_true - y_pred), 0.1 * (y_pred - y_true))


def largest(y_true, y_pred):
    return ops.max(ops.abs(y_true - y_pred))


def unexplained(y_true, y_pred):
    spread = ops.sum(ops.square(y_true - ops.mean(y_true, axis=0)))
    return ops.sum(ops.square(y_true - y_pred)) / (spread + 1.0)


def without_targets(y_true, y_pred):
    return ops.logsumexp(y_pred[..., ::-1], axis=-1)


def dice(y_true, y_pred):
    y_true, y_pred = ops.reshape(y_true, (-1,)), ops.ravel(y_pred)
    return 1 - (2 * ops.sum(y_true * y_pred) + 1) / (ops.sum(y_true) + ops.sum(y_pred) + 1)


def dice_of_columns(y_true, y_pred):
    both, either = ops.sum(y_true * y_pred, axis=0), ops.sum(y_true + y_pred, axis=0)
    return 1 - ops.mean((2 * both + 1) / (either + 1))


def entropy_and_dice(y_true, y_pred):
    return losses.binary_crossentropy(y_true, y_pred) + dice(y_true, y_pred)


def entropy_and_squares(y_true, y_pred):
    squares = ops.sum(ops.square(y_pred), axis=-1)
    return 2 * losses.categorical_crossentropy(y_true, y_pred) + 0.1 * squares


def entropy(y_true, y_pred):
    return -ops.sum(y_true * ops.log(ops.clip(y_pred, 1e-7, 1.0)), axis=-1)


def agreement(y_true, y_pred):
    return ops.mean(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


def hits(y_true, y_pred):
    return ops.cast(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)), "float64")


class Doubled(losses.Loss):
    def call(self, y_true, y_pred):
        return 2.0 * ops.mean(ops.abs(y_true - y_pred), axis=-1)


OF_NUMBERS = [
    error_of_rows,
    error_of_batch,
    root_of_batch,
    error_of_elements,
    bent,
    quantile,
    largest,
    unexplained,
    without_targets,
]
OF_BITS = [dice, dice_of_columns, entropy_and_dice]
OF_CLASSES = [entropy, entropy_and_squares]


def targets(shape: tuple[int, ...], rows: int, kind: str) -> np.ndarray:
    generator = np.random.default_rng(3)
    if kind == "softmax":
        return np.eye(shape[-1])[generator.integers(0, shape[-1], (rows, *shape[:-1]))]
    if kind == "sigmoid":
        return generator.integers(0, 2, (rows, *shape)).astype(float)
    return generator.normal(size=(rows, *shape))


def follows_keras(
    spark, shape: tuple[int, ...], layer, numbers=OF_NUMBERS, bits=OF_BITS, classes=OF_CLASSES
) -> None:
    """One model with an output for each loss, which is a metric of that output, too."""
    x = keras.Input(shape)
    kinds = {"linear": numbers, "sigmoid": bits, "softmax": classes}
    chosen = [(kind, loss) for kind, several in kinds.items() for loss in several]
    chosen += [("linear", Doubled()), ("linear", Doubled(reduction="sum"))]
    hidden = layer(x)
    outputs = [Dense(3, kind)(hidden) for kind, _ in chosen]
    built = seeded(keras.Model(x, outputs))
    metrics = [[] if isinstance(loss, losses.Loss) else [loss] for _, loss in chosen]
    metrics[-3] = [agreement, hits, lambda t, p: t * p]
    built.compile(
        keras.optimizers.SGD(0.05), [loss for _, loss in chosen], metrics=metrics, run_eagerly=True
    )
    features = examples(built, 13)
    labels = [
        targets(tensor.shape[1:], 13, kind)
        for tensor, (kind, _) in zip(built.outputs, chosen, strict=True)
    ]
    ours = Keras2DML(spark, built, batch_size=6, max_iter=3, display=0).fit(features, labels)
    for step, begin in zip(ours.iterations, range(0, 13, 6), strict=True):
        part = slice(begin, begin + 6)
        built.reset_metrics()
        measured = built.train_on_batch(
            features[part], [value[part] for value in labels], return_dict=True
        )
        assert step.measures.keys() == measured.keys()
        for name, value in measured.items():
            near(np.array(step.measures[name]), np.asarray(value), 1e-6)
    for found, trained in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, trained, 1e-8)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.filterwarnings("ignore:.*includes a .lambda")
def test_losses_of_vectors_are_as_keras(spark):
    few = [error_of_batch, bent, unexplained], [entropy_and_dice], [entropy_and_squares]
    follows_keras(spark, (5,), Dense(6, "tanh"), *few)


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((5,), lambda: Dense(6, "tanh")),
        ((4, 5), lambda: Dense(6, "tanh")),
        ((3, 4, 2), lambda: Conv2D(6, 2)),
    ],
    ids=["vectors", "sequences", "images"],
)
@pytest.mark.filterwarnings("ignore:.*includes a .lambda")
def test_all_losses_are_as_keras(spark, shape, layer):
    follows_keras(spark, shape, layer())


@pytest.mark.spark
@pytest.mark.systemds
def test_epochs_weights_and_validation_rows_are_as_in_keras(spark):
    built = model((5,), Dense(3))
    weights = np.random.default_rng(1).uniform(size=23)
    built.compile(
        "sgd",
        error_of_rows,
        metrics=[error_of_elements, root_of_batch],
        weighted_metrics=[quantile],
    )
    arguments = {"batch_size": 7, "epochs": 2, "shuffle": False, "validation_split": 0.3}
    arguments["sample_weight"] = weights
    features, labels = examples(built, 23), targets((3,), 23, "linear")
    ours = Keras2DML(spark, built, display=0).fit(features, labels, **arguments)
    wanted = built.fit(features, labels, verbose=0, **arguments).history
    assert ours.history.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-6, err_msg=name)
    again = built.evaluate(features, labels, verbose=0, batch_size=7, return_dict=True)
    mine = ours.evaluate(features, labels, batch_size=7, return_dict=True)
    assert mine == pytest.approx(again, rel=1e-6)


def error_by_mean(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred) * ops.exp(-ops.mean(y_pred)))


def share_of_largest(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1) / ops.max(ops.abs(y_true))


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("loss", [error_by_mean, share_of_largest])
def test_what_depends_on_a_batch_is_measured_in_those_of_keras(spark, loss):
    built = model((5,), Dense(3))
    eagerly = loss is error_by_mean
    built.compile("sgd", loss, metrics=[share_of_largest], run_eagerly=eagerly)
    features, labels = examples(built, 70), targets((3,), 70, "linear")
    ours = Keras2DML(spark, built, display=0)
    for arguments in ({}, {"batch_size": 7}, {"steps": 2}, {"steps": 3, "batch_size": 8}):
        found = ours.evaluate(features, labels, **arguments)
        assert found == pytest.approx(built.evaluate(features, labels, verbose=0, **arguments))
    batches = tf.data.Dataset.from_tensor_slices((features, labels)).batch(20)
    assert ours.evaluate(batches) == pytest.approx(built.evaluate(batches, verbose=0))


def drawn(y_true, y_pred):
    return (y_true - y_pred) * np.random.default_rng().normal()


def in_tensorflow(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (drawn, "The loss is 'drawn', which uses other numbers each time"),
        (
            in_tensorflow,
            "The loss is 'in_tensorflow', which cannot be traced (ValueError: A Keras",
        ),
        (
            lambda t, p: ops.sort(p),
            "The loss is '<lambda>': Operation 'step' (Sort) is not compiled",
        ),
        (lambda t, p: [t, p], "which returns 2 tensors. It must return one"),
        (lambda t, p: ops.var(p), "goes over all axes, including the examples"),
        (
            lambda t, p: p * ops.ones((1, 400)) @ ops.ones((400, 300)) / 9,
            "or moves as many elements",
        ),
        (Doubled(reduction=None), "with reduction=None"),
        (losses.CTC(), "Only BinaryCrossentropy"),
    ],
)
def test_other_losses_are_refused(loss, match):
    built = model((5,), Dense(1))
    built.compile("sgd", loss)
    assert match in " ".join(complaints(built)), complaints(built)


def test_metrics_with_ambiguous_targets_are_refused(spark):
    built = model((5,), Dense(3, "softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy", metrics=[agreement])
    assert "A metric is 'agreement', and the targets are class numbers" in complaints(built)[0]
    built.compile("sgd", "mse", weighted_metrics=[agreement])
    assert "which does not return a number for each vector" in complaints(built)[0]


@pytest.mark.spark
@pytest.mark.systemds
def test_targets_and_weights_that_functions_would_see_otherwise_are_refused(spark):
    built = model((5,), Dense(1))
    built.compile("sgd", error_of_batch, metrics=[error_of_rows])
    ours = Keras2DML(spark, built, display=0)
    features = np.ones((4, 5))
    with pytest.raises(
        InvalidData, match=r"y has shape \(4,\), but the model's output has \(4, 1\)"
    ):
        ours.fit(features, np.ones(4))
    with pytest.raises(InvalidData, match="does not return a single number for each of these"):
        ours.fit(features, np.ones((4, 1)), sample_weight=np.ones(4))
