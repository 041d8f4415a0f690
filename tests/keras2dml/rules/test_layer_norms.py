"""Normalizations of an example by its own elements score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from keras import layers
from oracle import agrees, learns, seeded

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


def named(case: object) -> str | None:
    return case.__name__ if isinstance(case, type) else str(case).replace("'", "")


@pytest.mark.parametrize(("shape", "layer", "arguments"), CASES, ids=named)
def test_normalization_scores_and_learns_as_keras(spark, shape, layer, arguments):
    x = keras.Input(shape)
    normal = layer(**arguments)(layers.Dense(shape[-1])(x))
    ends = layers.Dense(3, activation="softmax")(layers.Flatten()(normal))
    built = seeded(keras.Model(x, [ends, layers.Activation("softmax")(layers.Flatten()(normal))]))
    agrees(spark, built)
    learns(spark, built)
