"""Regularizers and constraints of weights, and penalties for activities, are Keras' own."""

from __future__ import annotations

import keras
import pytest
from joining import together
from keras import constraints, regularizers
from keras.layers import Conv2D, Dense, Flatten
from oracle import complaints, learns, model


@pytest.mark.spark
@pytest.mark.systemds
def test_regularizers_are_as_keras(spark):
    kinds = {
        "l1": regularizers.L1(0.1),
        "l2": regularizers.L2(0.2),
        "l1_l2": regularizers.L1L2(0.1, 0.3),
    }
    learns(spark, together({name: regularized(kind) for name, kind in kinds.items()}))


def regularized(kind: regularizers.Regularizer) -> keras.Model:
    bias = regularizers.L2(0.1)
    first = Conv2D(3, 2, kernel_regularizer=kind, bias_regularizer=bias)
    dense = Dense(4, kernel_regularizer=kind, activation="tanh")
    return model((4, 3, 2), first, Flatten(), dense, Dense(3, "softmax"))


@pytest.mark.spark
@pytest.mark.systemds
def test_orthogonal_regularizer_is_as_keras(spark):
    """Keras computes it in float32 only."""
    keras.config.set_floatx("float32")
    rows, columns = (regularizers.OrthogonalRegularizer(0.5, mode) for mode in ("rows", "columns"))
    dense = Dense(4, kernel_regularizer=columns, activation="tanh")
    last = Dense(3, "softmax", kernel_regularizer=rows)
    learns(spark, model((4, 3, 2), Flatten(), dense, last))


@pytest.mark.spark
@pytest.mark.systemds
def test_constraints_are_as_keras(spark):
    built = model(
        (4, 3, 2),
        Conv2D(3, 2, kernel_constraint=constraints.MaxNorm(0.4, axis=[0, 1, 2])),
        Flatten(),
        Dense(4, kernel_constraint=constraints.UnitNorm(), bias_constraint="non_neg"),
        Dense(4, kernel_constraint=constraints.MinMaxNorm(0.3, 0.5, rate=0.7, axis=1)),
        Dense(3, "softmax", kernel_constraint=constraints.MaxNorm(0.5, axis=[0, 1])),
    )
    learns(spark, built)


@pytest.mark.spark
@pytest.mark.systemds
def test_activities_are_penalized_as_keras(spark):
    built = model(
        (4, 3, 2),
        Conv2D(3, 2, activation="relu", activity_regularizer=regularizers.L1L2(0.02, 0.03)),
        Dense(4, activity_regularizer=regularizers.L2(0.1)),
        Flatten(),
        Dense(3, "softmax", activity_regularizer=regularizers.L1(0.2)),
    )
    learns(spark, built)


@pytest.mark.spark
@pytest.mark.systemds
def test_weights_that_are_not_trained_are_not_regularized(spark):
    frozen = Dense(4, kernel_regularizer="l2", kernel_constraint="non_neg", trainable=False)
    learns(spark, model((5,), frozen, Dense(3, "softmax")))


def test_others_are_refused_all_at_once():
    class Mine(regularizers.Regularizer):
        def __call__(self, x):
            return 0.0

        def get_config(self):
            return {}

    first = Conv2D(3, 2, kernel_constraint=constraints.MaxNorm(), kernel_regularizer=Mine())

    class Doubled(regularizers.L2):
        def __call__(self, x):
            return 2 * super().__call__(x)

    penalized = Dense(3, activity_regularizer=regularizers.OrthogonalRegularizer())
    doubled = Dense(3, activity_regularizer=Doubled())
    said = "\n".join(complaints(model((4, 3, 2), first, doubled, penalized)))
    assert "has the activity_regularizer Doubled. Only L1" in said
    assert "has the activity_regularizer OrthogonalRegularizer. Only L1" in said
    said = "\n".join(complaints(model((4, 3, 2), first, Flatten(), Dense(3, "softmax"))))
    assert "its kernel has the regularizer Mine. Only L1, L2 and L1L2" in said
    assert "use axis=[0, 1, 2]" in said
