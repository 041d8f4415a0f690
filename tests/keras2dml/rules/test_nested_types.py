"""Nested models take numbers of the types of their inputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracle import complaints, near, seeded


def nested(dtype, shape=(4, 3)):
    """A model with an input of this type."""
    x = keras.Input(shape, dtype=dtype)
    return keras.Model(x, ops.cast(x, "float64") * 0.5, name=f"inner_{dtype}")


@pytest.mark.spark
@pytest.mark.systemds
def test_nested_models_take_the_types_of_their_inputs(run):
    x = keras.Input((4, 3))
    steps = layers.TimeDistributed(nested("int64", (3,)))(x)
    parts = [nested("int32")(x), nested("bool")(x), steps]
    built = seeded(keras.Model(x, layers.Dense(2)(ops.concatenate(parts, axis=-1))))
    built.compile("sgd", "mse")
    features = 3 * np.random.default_rng(3).normal(size=(7, 4, 3))
    ours, labels = run(built), features[..., :2]
    near(ours.outputs(features)[0], built.predict(features, verbose=0), 1e-12)
    ours.fit(features, labels, batch_size=3, epochs=1, shuffle=False, verbose=0)
    built.fit(features, labels, batch_size=3, epochs=1, shuffle=False, verbose=0)
    for mine, weights in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(mine, weights, 1e-12)


@pytest.mark.parametrize(
    ("dtype", "outer", "message"),
    [
        ("float32", "float64", "Layer 'inner_float32' (Functional) rounds float64 to the float32"),
        ("uint8", "float64", "(Cast) casts to uint8"),
        ("float64", "float32", ""),
        ("int64", "bool", ""),
    ],
)
def test_types_that_are_not_compiled_are_refused(dtype, outer, message):
    x = keras.Input((4, 3), dtype=outer)
    found = " ".join(complaints(keras.Model(x, nested(dtype)(x))))
    assert message in found
    assert bool(message) == bool(found)
