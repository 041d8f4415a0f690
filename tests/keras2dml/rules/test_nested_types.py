"""Nested models take numbers of the types of their inputs, and layers integers as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracle import complaints, near, seeded

from keras2dml.reader import read


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
        ("float16", "float64", "rounds float64 to the float16 of its input"),
        ("float32", "int64", "rounds int64 to the float32 of its input"),
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


def enlarged(x, interpolation="nearest"):
    image = layers.Reshape((4, 3, 1))(x)
    return layers.UpSampling2D(2, interpolation=interpolation)(image)


def types_refused(function, dtype):
    x = keras.Input((4, 3), dtype=dtype)
    return " ".join(complaints(keras.Model(x, function(x))))


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: ops.logaddexp(x, 0.3), "(Logaddexp) rounds 0.3 to float32"),
        (
            lambda x: ops.cast(ops.cast(x > 0, "float32") * 0.1, "float64"),
            "(Multiply) computes in float32, while all else",
        ),
        (
            lambda x: layers.Dense(2, dtype="float64")(ops.sqrt(ops.cast(x, "int32"))),
            "(Sqrt) converts its input to float32",
        ),
    ],
)
def test_what_is_rounded_in_a_model_of_float64_is_refused_whatever_floatx_is(function, match):
    keras.config.set_floatx("float32")
    assert match in types_refused(function, "float64")
    assert not types_refused(lambda x: layers.Dense(2)(ops.sqrt(ops.cast(x, "int32"))), "float32")


def test_a_model_of_operations_in_float64_is_not_one_of_float32():
    keras.config.set_floatx("float32")
    singles, doubles = (keras.Input((4, 3), dtype=dtype) for dtype in ("float32", "float64"))
    for x, single in ((singles, True), (doubles, False)):
        assert read(keras.Model(x, ops.matmul(x, np.ones((3, 2), x.dtype)))).single is single


@pytest.mark.parametrize(
    ("layer", "dtype"),
    [
        (layers.BatchNormalization, "int32"),
        (layers.GlobalAveragePooling1D, "bool"),
        (lambda: layers.GroupNormalization(3), "uint8"),
        (lambda: layers.TimeDistributed(layers.BatchNormalization()), "uint8"),
        (layers.LayerNormalization, "int32"),
        (layers.LeakyReLU, "int32"),
        (lambda: lambda x: enlarged(x, "bilinear"), "uint8"),
        (lambda: lambda x: layers.Add()([x, x]), "uint8"),
        (lambda: lambda x: layers.Average()([x, x]), "int8"),
        (lambda: lambda x: layers.Multiply()([x, x]), "int32"),
        (lambda: lambda x: layers.Dot(1)([x, x]), "bool"),
        (lambda: layers.Activation("tanh", dtype="float32"), "int32"),
    ],
)
def test_layers_that_round_integers_or_wrap_around_are_refused(layer, dtype):
    assert f"computes with {dtype}, where Keras has less" in types_refused(layer(), dtype)


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_layers_that_take_integers_as_numbers_are_compiled(dtype):
    several = lambda x: layers.Add()([x, x]) * layers.Rescaling(0.5)(x)  # noqa: E731
    plain = layers.Flatten(), layers.Dense(2), layers.GlobalMaxPooling1D(), enlarged
    for layer in (*plain, several):
        assert not types_refused(layer, dtype)


@pytest.mark.parametrize(
    "keyed", [lambda x: layers.Dense(2)(inputs=x), lambda x: nested("int32")(inputs=x)]
)
def test_the_first_argument_may_be_a_keyword(keyed):
    assert not types_refused(keyed, "float64")
