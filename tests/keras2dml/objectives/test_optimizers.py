"""After some steps of every optimizer, and what Keras does around them, the weights are its."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, optimizers
from keras.layers import Dense
from keras.optimizers import schedules
from oracle import WEIGHTS, complaints, examples, learns, model, near

from keras2dml import Keras2DML
from keras2dml.compilation import Compilation

KINDS = [
    (optimizers.SGD, {"learning_rate": 0.1}),
    (optimizers.SGD, {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    (optimizers.Adam, {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    (optimizers.AdamW, {"learning_rate": 0.01, "weight_decay": 0.1}),
    (optimizers.RMSprop, {"learning_rate": 0.01, "momentum": 0.5, "rho": 0.8}),
    (optimizers.RMSprop, {"learning_rate": 0.01, "centered": True}),
    (optimizers.Ftrl, {"learning_rate": 0.1, "beta": 0.2, "l1_regularization_strength": 0.01}),
    (optimizers.Ftrl, {"l2_regularization_strength": 0.1, "learning_rate_power": -0.7}),
    (optimizers.Ftrl, {"l2_shrinkage_regularization_strength": 0.1}),
    (optimizers.Lamb, {"learning_rate": 0.05, "weight_decay": 0.1}),
    (optimizers.ScheduleFreeAdamW, {"learning_rate": 0.05, "warmup_steps": 3}),
    (optimizers.Adafactor, {"learning_rate": 0.5, "clip_threshold": 0.7}),
    (optimizers.Muon, {"learning_rate": 0.05, "adam_lr_ratio": 0.3, "adam_weight_decay": 0.1}),
]
# They step so for matrices beside a table in rendering/test_slices.py, too.
SHOWN_BESIDE_TABLES = [
    (optimizers.SGD, {"learning_rate": 0.05, "momentum": 0.9}),
    (optimizers.Adam, {"learning_rate": 0.01, "amsgrad": True}),
    (optimizers.Adamax, {"learning_rate": 0.02}),
    (optimizers.Nadam, {"learning_rate": 0.02}),
    (optimizers.RMSprop, {"learning_rate": 0.01}),
    (optimizers.RMSprop, {"learning_rate": 0.01, "centered": True, "momentum": 0.5}),
    (optimizers.Adagrad, {"learning_rate": 0.1}),
    (optimizers.Adadelta, {"learning_rate": 1.0}),
    (optimizers.Lion, {"learning_rate": 0.01}),
]
KINDS += [pytest.param(*kind, marks=pytest.mark.long) for kind in SHOWN_BESIDE_TABLES]
OF_SHAPES = [
    optimizers.Lamb(0.05),
    optimizers.ScheduleFreeAdamW(0.05, weight_decay=0.1),
    optimizers.Adafactor(0.05),
    optimizers.Adafactor(0.05, gradient_accumulation_steps=2, use_ema=True),
    optimizers.Muon(0.05, clipnorm=0.02),
    optimizers.Muon(0.05, nesterov=False, rms_rate=None, exclude_embeddings=False),
]
AROUND = [
    {"weight_decay": 0.05},
    {"clipnorm": 0.1},
    {"clipvalue": 0.01},
    {"global_clipnorm": 0.2},
    {"use_ema": True, "ema_momentum": 0.7},
    {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.1, "weight_decay": 0.05, "use_ema": True},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2},
]
SCHEDULES = [
    schedules.ExponentialDecay(0.1, 2, 0.5),
    schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True),
    schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.01]),
    schedules.PolynomialDecay(0.1, 4, 0.01, power=2.0),
    schedules.InverseTimeDecay(0.1, 2, 0.5),
    schedules.CosineDecay(0.1, 5, warmup_target=0.2, warmup_steps=2),
    schedules.CosineDecayRestarts(0.1, 2),
]


def named(case: object) -> str:
    return getattr(case, "__name__", type(case).__name__)


def small() -> keras.Model:
    return model((7,), Dense(5, "relu"), Dense(3, "softmax"))


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(("kind", "arguments"), KINDS, ids=named)
def test_optimizer_is_as_keras(spark, kind, arguments):
    learns(spark, small(), optimizer=kind(**arguments))


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("kind", OF_SHAPES, ids=named)
def test_state_of_every_shape_continues_as_in_keras(spark, kind):
    """In a second fit, and in one of the Keras model that the first leaves."""
    built = model(
        (8,),
        layers.Rescaling(2.0),
        layers.Embedding(19, 3),
        layers.Conv1D(2, 3, activation="tanh"),
        layers.PReLU(),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    )
    optimizer = type(kind).from_config(kind.get_config())
    eagerly = not kind.gradient_accumulation_steps
    built.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=eagerly)
    features, labels = examples(built, 36), np.arange(36) % 3
    ours = Keras2DML(spark, built, batch_size=6, display=0)
    ours.fit(features, labels, epochs=1, shuffle=False)
    again = Keras2DML(spark, ours.to_keras(), batch_size=6, display=0)
    for estimator in (ours, again):
        estimator.fit(features, labels, epochs=1, shuffle=False)
    for _ in range(2):
        built.fit(features, labels, batch_size=6, shuffle=False, verbose=0)
    for trained in (ours.to_keras(), again.to_keras()):
        found = [*trained.get_weights(), *map(np.asarray, trained.optimizer.variables)]
        wanted = [*built.get_weights(), *map(np.asarray, built.optimizer.variables)]
        for ours_has, keras_has in zip(found, wanted, strict=True):
            near(ours_has, keras_has, WEIGHTS["float64"])


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("arguments", AROUND, ids="-".join)
@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.Nadam], ids=named)
def test_what_surrounds_the_step_is_as_keras(spark, kind, arguments):
    """At the end of fit() Keras puts the averages in the weights' place."""
    built = small()
    eagerly = "gradient_accumulation_steps" not in arguments
    built.compile(kind(0.05, **arguments), "sparse_categorical_crossentropy", run_eagerly=eagerly)
    features, labels = examples(built, 20), np.arange(20) % 3
    ours = Keras2DML(spark, built, batch_size=6, display=0)
    ours.fit(features, labels, epochs=1, shuffle=False)
    built.fit(features, labels, batch_size=6, shuffle=False, verbose=0)
    for found, wanted in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("first", ["traced", "built"])
def test_copies_of_weights_begin_as_in_keras(run, first):
    """Keras' own graph begins with zeros, unless the optimizer is built before it."""
    built = small()
    optimizer = optimizers.ScheduleFreeAdamW(0.05)
    built.compile(optimizer, "sparse_categorical_crossentropy")
    if first == "built":
        optimizer.build(built.trainable_variables)
    features, labels = examples(built, 12), np.arange(12) % 3
    ours = run(built, batch_size=6).fit(features, labels, epochs=2, shuffle=False)
    built.fit(features, labels, batch_size=6, epochs=2, shuffle=False, verbose=0)
    near(ours.to_keras().get_weights()[0], built.get_weights()[0], WEIGHTS["float64"])


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize("schedule", SCHEDULES, ids=named)
def test_learning_rates_are_those_of_the_schedule(spark, schedule):
    again = type(schedule).from_config(schedule.get_config())
    learns(spark, small(), optimizer=optimizers.SGD(again))


@pytest.mark.spark
@pytest.mark.systemds
def test_variables_may_be_left_out_of_the_decay(spark):
    optimizer = optimizers.SGD(0.1, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    learns(spark, small(), optimizer=optimizer)


@pytest.mark.parametrize(
    ("optimizer", "match"),
    [
        (
            optimizers.LossScaleOptimizer(optimizers.SGD()),
            "The optimizer is LossScaleOptimizer. Only Adadelta, Adafactor",
        ),
        (optimizers.SGD(loss_scale_factor=2.0), "has loss_scale_factor=2.0"),
    ],
)
def test_other_optimizers_are_refused(optimizer, match):
    built = small()
    built.compile(optimizer, "categorical_crossentropy")
    assert any(match in said for said in complaints(built))


@pytest.mark.parametrize("kind", [optimizers.Adagrad, optimizers.Ftrl])
def test_what_is_summed_begins_as_in_keras(kind):
    built = model((3,), Dense(2))
    built.compile(kind(0.1, initial_accumulator_value=0.3), "mse")
    begun = Compilation.of(built).state()
    built.optimizer.build(built.trainable_variables)
    kept = Compilation.of(built).state()
    assert begun.keys() == kept.keys()
    for name, matrix in begun.items():
        np.testing.assert_array_equal(matrix, kept[name])
