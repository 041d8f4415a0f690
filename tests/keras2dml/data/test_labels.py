"""Labels and the weights of classes as users give them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from keras.layers import Dense
from oracle import model

from keras2dml import InvalidData
from keras2dml.compilation import Compilation
from keras2dml.data.labels import of_outputs, targets
from keras2dml.objectives.objective import Goal

WORDS = ["a", "b", "c", "a"]


def goal_of(shape: tuple[int, ...], units: int, activation: str, loss: str) -> Goal:
    built = model(shape, Dense(units, activation))
    built.compile("sgd", loss)
    (goal,) = Compilation.of(built).goals
    return goal


@pytest.mark.parametrize("label", [None, np.nan, pd.NA, pd.NaT, 7], ids=str)
def test_labels_that_are_missing_or_of_mixed_types_are_refused(label):
    goal = goal_of((5,), 3, "softmax", "sparse_categorical_crossentropy")
    with pytest.raises(InvalidData, match="y has labels of the types"):
        targets(np.array([*WORDS, label], object), goal, 5)
    known = np.array(["a", "b", "c"])
    with pytest.raises(InvalidData, match="y has labels of the types"):
        targets(np.array([*WORDS, label], object), goal, 5, known)
    assert targets(np.array(WORDS, object), goal, 4).classes.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [(2, "softmax", "sparse_categorical_crossentropy"), (1, "sigmoid", "binary_crossentropy")],
)
def test_truths_are_classes_as_in_scikit_learn(units, activation, loss):
    goal = goal_of((5,), units, activation, loss)
    made = targets(np.array([True, False, True]), goal, 3)
    assert made.classes.tolist() == [False, True]
    assert made.classes.dtype == bool
    assert (made.matrix == targets([1, 0, 1], goal, 3).matrix).all()


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (3, "softmax", "categorical_crossentropy"),
        (3, "softmax", "sparse_categorical_crossentropy"),
    ],
)
def test_steps_have_no_weights_of_classes(units, activation, loss):
    """Nor in Keras."""
    built = model((4, 3), Dense(units, activation))
    built.compile("sgd", loss)
    compilation = Compilation.of(built)
    y = np.zeros((2, 4), int) if "sparse" in loss else np.eye(units)[np.zeros((2, 4), int)]
    with pytest.raises(InvalidData, match="class_weight needs one class per example"):
        of_outputs(y, compilation.graph.gives, compilation.goals, 2, class_weight={0: 2.0})
