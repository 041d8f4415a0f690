"""Normalizations of an example by its own elements score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from joining import together
from keras import layers
from oracle import agrees_and_learns, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE, SEQUENCE, VECTOR = (4, 3, 6), (5, 4), (7,)
CASES = [
    (SEQUENCE, layers.LayerNormalization, {}),
    (IMAGE, layers.LayerNormalization, {"axis": [3, 1], "epsilon": 0.1}),
    (IMAGE, layers.LayerNormalization, {"axis": [-1, 1]}),
    (IMAGE, layers.LayerNormalization, {"axis": (1, 2, 3), "scale": False}),
    (SEQUENCE, layers.LayerNormalization, {"axis": 1, "center": False}),
    (SEQUENCE, layers.RMSNormalization, {"epsilon": 0.01}),
    (IMAGE, layers.RMSNormalization, {"axis": (2, 3)}),
    (SEQUENCE, layers.UnitNormalization, {}),
    (IMAGE, layers.UnitNormalization, {"axis": (1, -1)}),
    (IMAGE, layers.GroupNormalization, {"groups": 3}),
    (IMAGE, layers.GroupNormalization, {"groups": -1, "center": False}),
    (IMAGE, layers.GroupNormalization, {"groups": 2, "axis": 1, "epsilon": 0.1}),
    (VECTOR, layers.GroupNormalization, {"groups": 1, "scale": False}),
    (IMAGE, layers.Softmax, {"axis": (-1, 1)}),
]


def normalized(
    shape: tuple[int, ...], layer: type[keras.Layer], arguments: dict[str, object]
) -> keras.Model:
    x = keras.Input(shape)
    normal = layer(**arguments)(layers.Dense(shape[-1])(x))
    ends = layers.Dense(3, activation="softmax")(layers.Flatten()(normal))
    return keras.Model(x, [ends, layers.Activation("softmax")(layers.Flatten()(normal))])


def test_normalizations_score_and_learn_as_keras(spark):
    built = together({str(case[1:]): normalized(*case) for case in CASES})
    agrees_and_learns(spark, seeded(built))
