"""Every loss, with its arguments, weights and reductions, is Keras' own, and so is its gradient."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras import losses
from keras.layers import Activation, Conv2D, Dense, Reshape, UnitNormalization
from oracle import complaints, examples, learns, model

from keras2dml import InvalidData, Keras2DML

NUMBERS = [
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(),
    losses.MeanAbsolutePercentageError(),
    losses.MeanSquaredLogarithmicError(),
    losses.CosineSimilarity(),
    losses.Huber(),
    losses.Huber(delta=0.3),
    losses.LogCosh(),
    losses.Poisson(),
    losses.KLDivergence(),
    losses.Hinge(),
    losses.SquaredHinge(),
    losses.CategoricalHinge(),
    losses.Dice(),
    losses.Tversky(alpha=0.3, beta=0.6),
    losses.CategoricalGeneralizedCrossEntropy(q=0.7),
    losses.BinaryCrossentropy(label_smoothing=0.2),
    losses.BinaryFocalCrossentropy(gamma=1.5, apply_class_balancing=True, alpha=0.3),
    losses.CategoricalCrossentropy(label_smoothing=0.1),
    losses.CategoricalFocalCrossentropy(alpha=0.4, gamma=3.0),
]
LOGITS = [
    losses.BinaryCrossentropy(from_logits=True),
    losses.BinaryFocalCrossentropy(from_logits=True, label_smoothing=0.1),
    losses.CategoricalFocalCrossentropy(from_logits=True),
    losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
]
WHOLE = ("dice", "tversky")
LONG = pytest.mark.long


def again(loss: losses.Loss, **changed: object) -> losses.Loss:
    """The loss in float64; Keras' config of some leaves arguments out."""
    return type(loss)(**{**loss.get_config(), **loss._fn_kwargs, **changed})


@pytest.mark.spark
@pytest.mark.systemds
def test_losses_of_numbers_are_as_keras(spark):
    """No activation made the numbers: nothing is looked through."""
    cases = {
        f"{n} {loss.name}": model((5,), Dense(6, "tanh"), Dense(3, "sigmoid"), Reshape((3,)))
        for n, loss in enumerate(NUMBERS)
    }
    learns(spark, together(cases), loss=[again(loss) for loss in NUMBERS])


@pytest.mark.spark
@pytest.mark.systemds
def test_losses_of_sequences_and_their_reduction_are_as_keras(spark):
    cases = {
        f"{n} {loss.name}": model((4, 5), Dense(6, "tanh"), Dense(3, "softplus"))
        for n, loss in enumerate(NUMBERS)
    }
    signed = np.arange(100.0).reshape(25, 4)
    signed[6:12], signed[12:18], signed[24:] = [1, -1, 2, -2], 0, -0.25  # sums of 0, and below
    whole = [loss.name in WHOLE for loss in NUMBERS]
    kinds = [
        again(loss, reduction="sum" if is_whole else "mean_with_sample_weight")
        for loss, is_whole in zip(NUMBERS, whole, strict=True)
    ]
    weights = [None if is_whole else signed for is_whole in whole]
    learns(spark, together(cases), loss=kinds, sample_weight=weights)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"gamma": 64.0, "margin": 0.25, "reduction": "sum"},
        pytest.param(
            {"gamma": 2.0, "margin": 0.0, "remove_diagonal": False}, marks=pytest.mark.long
        ),
    ],
)
def test_rows_that_belong_together_attract_each_other_as_in_keras(spark, arguments):
    """Of a batch with rows that belong to no other one, and of one row."""
    last = Activation("tanh") if arguments else UnitNormalization()
    built = model((5,), Dense(6, "tanh"), Dense(4), last)
    learns(spark, built, loss=losses.Circle(**arguments))


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.filterwarnings("ignore:.*from_logits")
def test_losses_of_logits_are_as_keras(spark):
    cases = {
        f"{loss.name} {activation}": model((5,), Dense(6, "tanh"), Dense(3, activation))
        for activation in ("linear", "sigmoid")
        for loss in LOGITS
    }
    learns(spark, together(cases), loss=[again(loss) for loss in LOGITS * 2])


@pytest.mark.spark
@pytest.mark.systemds
def test_losses_of_images_are_as_keras(spark):
    """The model stores images with their channels first, Keras with their channels last."""
    kinds = ["mse", "binary_crossentropy", "categorical_crossentropy"]
    cases = {
        f"{loss} {activation}": model((4, 3, 2), Conv2D(3, 2, activation=activation))
        for activation in ("linear", "sigmoid", "softmax")
        for loss in kinds
    }
    weights = [np.random.default_rng(1).uniform(size=(25, 3, 2))] * 9
    built, metrics = together(cases), [["mae"]] * 9
    learns(spark, built, loss=kinds * 3, sample_weight=weights, weighted_metrics=metrics)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("name", ["binary_crossentropy", "binary_focal_crossentropy"])
def test_loss_of_one_output_looks_through_its_sigmoid(spark, name):
    learns(spark, model((5,), Dense(6, "tanh"), Dense(1), Activation("sigmoid")), loss=name)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_classes_have_weights(spark, name):
    weights = {0: 2.0, 2: 0.25}
    learns(
        spark, model((5,), Dense(3, "softmax")), loss=name, class_weight=weights, metrics=["acc"]
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_classes_have_weights_only_in_training(spark):
    built = model((5,), Dense(3, "softmax"))
    built.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["acc"], weighted_metrics=["acc"]
    )
    arguments = {"epochs": 2, "batch_size": 4, "shuffle": False, "validation_split": 0.3}
    arguments["class_weight"] = {0: 2.0, 2: 0.25}
    features, labels = examples(built, 20), np.arange(20) % 3
    ours = Keras2DML(spark, built, display=0).fit(features, labels, **arguments)
    wanted = built.fit(features, labels, verbose=0, **arguments).history
    assert ours.history.keys() == wanted.keys()
    for name, values in wanted.items():
        assert ours.history[name] == pytest.approx(values, rel=1e-6), name


@pytest.mark.spark
@pytest.mark.systemds
def test_each_step_of_a_sequence_has_a_weight(spark):
    weights = np.random.default_rng(1).uniform(size=(25, 4))
    built = model((4, 5), Dense(3, "softmax"))
    learns(spark, built, sample_weight=weights, weighted_metrics=["accuracy"])


@pytest.mark.spark
@pytest.mark.systemds
def test_outputs_have_losses_and_weights_of_their_own(spark):
    x = keras.Input((5,))
    hidden = Dense(4, "tanh")(x)
    outputs = Dense(3, "softmax", name="kind")(hidden), Dense(2, name="place")(hidden)
    learns(
        spark,
        keras.Model(x, outputs),
        loss=["categorical_crossentropy", "mse"],
        loss_weights=[0.3, 2.0],
        metrics=[["accuracy"], ["mae", "mse"]],
    )


@pytest.mark.spark
@pytest.mark.systemds
def test_weights_that_do_not_fit_are_refused(spark):
    ours = Keras2DML(spark, model((5,), Dense(3, "softmax")), max_iter=1, display=0)
    features, labels = np.ones((8, 5)), np.arange(8) % 3
    with pytest.raises(InvalidData, match="give finite numbers of shape"):
        ours.fit(features, labels, sample_weight=np.ones(7))
    with pytest.raises(InvalidData, match="class_weight is given together with sample_weight"):
        ours.fit(features, labels, sample_weight=np.ones(8), class_weight={0: 1.0})
    with pytest.raises(InvalidData, match="class_weight has the classes"):
        ours.fit(features, labels, class_weight={7: 1.0})
    with pytest.raises(InvalidData, match="has the classes '0', but y has 0, 1, 2: use those as"):
        ours.fit(features, labels, class_weight={"0": 1.0})
    for weights in ("balanced", [1, 2, 3]):
        with pytest.raises(InvalidData, match=r"class_weight is .*: give a dict with a weight for"):
            ours.fit(features, labels, class_weight=weights)
    with pytest.raises(InvalidData, match=r"class_weight is .*'a'.*: give finite numbers"):
        ours.fit(features, labels, class_weight={0: "a"})
    with pytest.raises(InvalidData, match=r"class_weight is .*nan.*: give finite numbers"):
        ours.fit(features, labels, class_weight={0: float("nan")})


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        ("ctc", "The loss is 'ctc'. Only BinaryCrossentropy"),
        (losses.CTC(), "The loss is 'CTC'. Only BinaryCrossentropy"),
        (losses.MeanSquaredError(reduction="none"), "has reduction='none'"),
        (losses.Dice(axis=1), "has axis=1"),
        (losses.CosineSimilarity(axis=0), "has axis=0"),
        (losses.SparseCategoricalCrossentropy(ignore_class=0), "has ignore_class=0"),
        (losses.CategoricalFocalCrossentropy(alpha=[0.1, 0.2, 0.7]), "only compiled with a number"),
    ],
)
def test_other_losses_are_refused(loss, match):
    built = model((5,), Dense(3, "softmax"))
    built.compile("sgd", loss)
    assert any(match in said for said in complaints(built)), complaints(built)


def test_labels_that_belong_together_have_one_vector_and_no_metrics():
    built = model((4, 5), Dense(3))
    built.compile("sgd", losses.Circle(), metrics=["mse"])
    about = complaints(built)
    assert "takes one vector for each example. The output is (N, 4, 3)" in about[0]
    assert "takes labels that only group examples" in about[1]


@pytest.mark.spark
@pytest.mark.systemds
def test_labels_that_belong_together_are_whole_and_have_no_score(spark):
    built = model((5,), Dense(3))
    built.compile("sgd", losses.Circle())
    ours = Keras2DML(spark, built, max_iter=1, display=0)
    with pytest.raises(InvalidData, match="give one whole number for each row"):
        ours.fit(np.ones((8, 5)), np.arange(8) / 2)
    with pytest.raises(InvalidData, match="no share of right ones: use evaluate"):
        ours.score(np.ones((8, 5)), np.arange(8))
