"""Numbers are Keras' where a rounding, a step, a border or a type makes another number of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops
from oracle import complaints, listed, near
from pyspark.ml.linalg import Vectors

from keras2dml import InvalidData, Keras2DML
from keras2dml.check import check
from keras2dml.data.features import inputs
from keras2dml.reader import read

KEPT = np.array([49, 98.5, -147, 3, 10, 29, 1000, 0.25])
LARGE = np.array([3e9, -3e9, 1.5, -1.5, 2147483647.5, -2147483648.5, 0, 1e19])


def in_float64(x):
    return ops.cast(x, "float64")


STEPS = {
    "quotients": lambda x: ops.floor(x / 49) + ops.floor(49 / x) + ops.floor(x / np.full(8, 49.0)),
    "quotients_or_0": lambda x: ops.floor(ops.divide_no_nan(x, 49.0)),
    "logarithms": lambda x: ops.floor(ops.log10(ops.abs(x))) + ops.floor(ops.log2(ops.abs(x))),
    "powers": lambda x: ops.floor(2.0 ** ops.minimum(x, 30.0)),
    "tens": lambda x: ops.round(x, -1),
    "hundreds": lambda x: ops.round(x, -2),
    "tenths": lambda x: ops.floor(ops.round(x / 70, 1) * 10),
    "floors": lambda x: x // 0.1 + 49.0 // x + ops.floor_divide(x, 1e300),
    "vanishing": lambda x: ops.power(1 / (2 + ops.abs(x)), np.float64(np.inf)),
    "mask": lambda x: x * (1 - ops.cast(x > 2, "float32")),
    "whole": lambda x: in_float64(ops.cast(x, "int32") * ops.cast(x > 2, "int32") + 1),
}
CASTS = {
    "int32": lambda x: in_float64(ops.cast(x, "int32")),
    "int64": lambda x: in_float64(ops.cast(x, "int64")),
    "bool": lambda x: in_float64(ops.cast(x, "bool")),
}


@pytest.mark.spark
@pytest.mark.systemds
def test_steps_and_casts_fall_where_those_of_keras_do(run):
    x, y = keras.Input((8,), name="x"), keras.Input((8,), name="y")
    outputs = [*(case(x) for case in STEPS.values()), *(case(y) for case in CASTS.values())]
    built = keras.Model([x, y], outputs)
    features = [np.stack([KEPT, 49 * np.arange(1.0, 9)]), np.stack([LARGE, LARGE[::-1]])]
    expected = listed(built.predict(features, verbose=0))
    for ours, output in zip(run(built).outputs(features), expected, strict=True):
        np.testing.assert_allclose(ours, output, rtol=1e-12, atol=1e-12)


@pytest.mark.spark
@pytest.mark.systemds
def test_numbers_of_float32_are_compared_as_keras_compares_them(run):
    comparisons = (ops.equal, ops.not_equal, ops.less, ops.less_equal, ops.greater)
    keras.config.set_floatx("float32")
    try:
        x = keras.Input((3,))
        truths = [ops.cast(compare(x, 0.3), "float32") for compare in comparisons]
        bounds = np.array([0.1, 0.2, 0.3])
        listed_numbers = [0.1, 0.2, 0.3]
        several = [
            ops.cast(ops.greater_equal(bounds, x), "float32"),
            ops.cast(ops.equal(x, listed_numbers), "float32"),
            ops.cast(ops.less(tuple(listed_numbers), x), "float32"),
        ]
        built = keras.Model(x, [*truths, *several])
        features = np.array([bounds, [0.3, 0.2999999, 0.3000001]])
        expected = built.predict(features, verbose=0)
        for ours, output in zip(run(built).outputs(features), expected, strict=True):
            np.testing.assert_array_equal(ours, output)
    finally:
        keras.config.set_floatx("float64")


def unchanged(shape, *functions):
    """A model with outputs for functions of what a Dense leaves as it is."""
    x = keras.Input(shape)
    h = layers.Dense(shape[-1])(x)
    built = keras.Model(x, [function(h) for function in functions])
    built.set_weights([np.eye(shape[-1]), np.zeros(shape[-1])])
    return built


def trained(run, built, features):
    """The weights after one step, ours and Keras'."""
    built.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    targets = [np.full((len(features), *out.shape[1:]), 2.0) for out in built.outputs]
    ours = run(built, batch_size=len(features)).fit(features, targets, epochs=1, verbose=0)
    built.fit(features, targets, batch_size=len(features), verbose=0)
    return ours.to_keras().get_weights(), built.get_weights()


@pytest.mark.spark
@pytest.mark.systemds
def test_gradients_at_borders_are_those_of_keras(run):
    """Of sparsemax where an element is just left out, and of what has an infinite slope at 0, where
    nothing depends on it.
    """
    features = np.array([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5], [2.0, 1.0, 1.0], [0.0, 0.0, 3.0]])
    built = unchanged(
        (3,),
        ops.sparsemax,
        layers.Activation("sparsemax"),
        lambda h: ops.where(h > 0, ops.sqrt(ops.relu(h)), 0.0),
        lambda h: ops.where(h > 0, ops.rsqrt(ops.relu(h)), 0.0),
        lambda h: ops.where(h > 0, ops.reciprocal(ops.relu(h)), 0.0),
        lambda h: ops.where(h[:, :1] > 3, ops.norm(h * 0.0, axis=-1, keepdims=True), 0.0),
        lambda h: ops.where(h[:, :1] > 3, ops.std(h * 0.0, axis=-1, keepdims=True), 0.0),
        lambda h: ops.norm(h, axis=-1, keepdims=True) + ops.norm(h + 1, axis=(-1,), keepdims=True),
        lambda h: ops.std(h * np.array([1.0, 2.0, 4.0]) + np.arange(3), axis=-1, keepdims=True),
    )
    for ours, keras_own in zip(*trained(run, built, features), strict=True):
        assert np.isfinite(keras_own).all()
        near(ours, keras_own, 1e-8)


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    "function",
    [
        lambda h: ops.std(h, axis=-1, keepdims=True),
        pytest.param(lambda h: ops.norm(h - 1, axis=-1, keepdims=True), marks=pytest.mark.long),
        pytest.param(
            lambda h: ops.sqrt(ops.var(h, axis=-1, keepdims=True)), marks=pytest.mark.long
        ),
        pytest.param(
            lambda h: ops.sqrt(ops.sum(ops.square(h - 1), axis=-1, keepdims=True)),
            marks=pytest.mark.long,
        ),
    ],
)
def test_equal_numbers_have_no_gradient_of_a_root(run, function):
    weights, of_keras = trained(run, unchanged((3,), function), np.ones((2, 3)))
    for ours, keras_own in zip(weights, of_keras, strict=True):
        assert np.isnan(keras_own).all()
        assert np.isnan(ours).all()


def refused(function, dtype=None, shape=(4, 3)):
    x = keras.Input(shape, dtype=dtype)
    return " ".join(complaints(keras.Model(x, function(x))))


@pytest.mark.parametrize(
    ("function", "dtype", "match"),
    [
        (lambda x: ops.where(x > 0, np.float32(0.1), 0.2), None, "converts its input to float32"),
        (lambda x: x * np.float32(0.1), "int32", "(Multiply) converts its input"),
        (lambda x: ops.mean(x, axis=1), "int32", "(Mean) converts its input"),
        (lambda x: ops.var(x, axis=1), "int32", "(Var) converts its input"),
        (lambda x: ops.var(x > 0, axis=1), None, "(Var) converts its input"),
        (lambda x: ops.cast(x, "float32"), "int32", "rounds integers to float32"),
        (lambda x: ops.cast(x > 0, "float32") * 0.1, None, "(Multiply) computes in float32"),
        (lambda x: ops.mean(ops.cast(x > 0, "float32"), 1), None, "(Mean) computes in float32"),
        (lambda x: ops.cast(x, "float32") / 255, "uint8", "(TrueDivide) computes in float32"),
        (lambda x: ops.round(x, -1), "int32", "has decimals=-1 and takes integers"),
        (lambda x: ops.round(x, 50), None, "has decimals=50. It is only compiled with -38 to 38"),
        (lambda x: x * x, "int32", "(Multiply) multiplies integers, which in Keras wrap around"),
        (lambda x: x**2, "int64", "(Power) multiplies integers"),
        (ops.square, "int32", "(Square) multiplies integers"),
        (lambda x: ops.prod(x, axis=1), "int32", "(Prod) multiplies integers"),
        (lambda x: ops.einsum("bij,bij->bi", x, x), "int32", "(Einsum) multiplies integers"),
        (lambda x: ops.matmul(x > 0, np.ones((3, 2), bool)), None, "(Matmul) adds booleans"),
        (ops.leaky_relu, "int32", "(LeakyRelu) takes integers"),
        (lambda x: ops.equal(x, 0.3), None, "(Equal) rounds 0.3 to float32, while all else is"),
        (lambda x: ops.cast(ops.greater_equal(0.1, x), "float64"), None, "give it np.float64(0.1)"),
        (lambda x: ops.logaddexp(x, 0.3), None, "(Logaddexp) rounds 0.3 to float32"),
        (
            lambda x: layers.Dense(2)(x * 0.1),
            "float32",
            "(Multiply) computes in float32, where lay",
        ),
        (
            lambda x: layers.Dense(2)(ops.maximum(x, 0.1)),
            "float32",
            "(Maximum) computes in float32",
        ),
        (
            lambda x: layers.Dense(2)(x[:, :2] - x[:, 2:]),
            "float32",
            "(Subtract) computes in float32",
        ),
        (lambda x: x + 1e-50, "float32", "(Add) takes 1e-50, which float32 does not hold"),
        (lambda x: ops.maximum(x, -1e300), "float32", "takes -1e+300, which float32 does not"),
        (lambda x: ops.equal(x, 16777217), "float32", "rounds 16777217 to float32"),
        (lambda x: ops.divide_no_nan(np.inf, x), None, "(DivideNoNan) takes infinite numbers"),
        (lambda x: x + 1, "float16", "The input 'keras_tensor' has dtype 'float16'"),
        (lambda x: layers.Dense(2, dtype="float32")(layers.Dense(2)(x)), None, "in float32, and"),
    ],
)
def test_what_keras_rounds_or_wraps_is_refused(function, dtype, match):
    assert match in refused(function, dtype)


@pytest.mark.parametrize(
    ("function", "dtype"),
    [
        (lambda x: layers.Embedding(9, 2)(x + np.arange(3) - 1), "int32"),
        (lambda x: x * 2 + x, "int32"),
        (lambda x: x * ops.cast(ops.not_equal(x, 0), "int32")[:, ::-1], "int32"),
        (lambda x: ops.std(x, axis=1) + ops.average(x, axis=1) + ops.sum(x, 1) / 3, "int32"),
        (lambda x: x * ops.sum(ops.cast(x > 0, "float32"), 1, keepdims=True), None),
        (lambda x: ops.logsumexp(x, axis=1) * 0.1 + ops.normalize(x)[:, 0], None),
        (lambda x: ops.exp(x) * 0.1, "float32"),
        (lambda x: ops.round(x) + ops.zeros_like(x), "int32"),
        (lambda x: layers.Dense(2)(ops.maximum(x[:, 1:], 0.5)), "float32"),
        (lambda x: layers.Dense(2)(ops.cast(x, "float64") * 0.1), "float32"),
        (lambda x: x * ops.cast(ops.less(x, 0.5), "float64") * (x > np.float64(0.3)), None),
    ],
)
def test_what_is_exact_is_compiled(function, dtype):
    assert refused(function, dtype) == ""


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: ops.softmax(x, axis=(1, 2)), "(Softmax) has axis=(1, 2). It is only compiled"),
        (lambda x: ops.log_softmax(x, axis=(1, 2)), "(LogSoftmax) has axis=(1, 2)"),
        (lambda x: ops.clip(x, -1.0, ops.exp(x)), "(Clip) has x_max that layers compute"),
        (lambda x: ops.threshold(x, ops.exp(x), 0.0), "(Threshold) has threshold that layers"),
        (lambda x: ops.threshold(x, np.ones(3), 0.0), "has several numbers as threshold"),
        (lambda x: ops.celu(x, ops.exp(x)), "(Celu) has alpha that layers compute"),
        (lambda x: ops.leaky_relu(x, np.ones(3)), "has several numbers as negative_slope"),
        (lambda x: ops.squareplus(x, np.ones(3)), "(Squareplus) has several numbers as b"),
        (lambda x: ops.round(x, np.arange(3)), "(Round) has several numbers as decimals"),
        (lambda x: ops.max(x, axis=1, initial=ops.max(x)), "(Max) has initial that layers"),
        (lambda x: ops.norm(x, ord=ops.exp(x), axis=1), "(Norm) has ord that layers compute"),
        (lambda x: ops.full_like(x, ops.exp(x)), "(FullLike) takes outputs of layers where it"),
        (lambda x: ops.roll(x, ops.cast(x[:, 0, 0], "int32"), 1), "(Roll) has shift that layers"),
        (lambda x: ops.sum(x[:, 4:], axis=1), "(GetItem) leaves nothing of an example"),
        (lambda x: ops.repeat(x, 0, axis=1), "(Repeat) leaves nothing of an example"),
        (lambda x: ops.split(x, [0, 2], axis=1)[0], "(Split) leaves nothing of an example"),
        (lambda x: ops.sum(x, axis=()), "(Sum) has axis=(). Give it axes, each only once"),
        (lambda x: ops.std(x, axis=(1, -2)), "(Std) has axis=(1, -2). Give it axes, each only"),
    ],
)
def test_arguments_that_are_no_numbers_are_refused(function, match):
    assert match in refused(function)


TYPED = np.array([[1.7, -1.7, 0.5, 100.0, 0.1]])


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "bool", "float32", "float64"])
def test_inputs_have_their_types(dtype):
    x = keras.Input((5,), dtype=dtype)
    built = keras.Model(x, layers.Rescaling(1.0)(in_float64(x)))
    (ours,) = inputs(TYPED, check(read(built))).values()
    np.testing.assert_array_equal(ours, built.predict(TYPED, verbose=0))


def test_numbers_that_an_input_does_not_hold_are_refused():
    x = keras.Input((5,), dtype="uint8")
    graph = check(read(keras.Model(x, in_float64(x))))
    with pytest.raises(InvalidData, match="X has 1 numbers out of range for the type of the input"):
        inputs(TYPED, graph)


@pytest.mark.long
@pytest.mark.spark
@pytest.mark.systemds
def test_inputs_have_their_types_in_frames(spark):
    features = np.abs(TYPED)
    frame = spark.createDataFrame([(Vectors.dense(row),) for row in features], ["features"])
    for dtype in ("int32", "bool", "float32"):
        x = keras.Input((5,), dtype=dtype)
        built = keras.Model(x, layers.Rescaling(1.0)(in_float64(x)))
        (row,) = Keras2DML(spark, built, display=0).transform(frame).collect()
        np.testing.assert_array_equal(row.probability.toArray(), built(features)[0])
    x = keras.Input((5,), dtype="uint8")
    beyond = spark.createDataFrame([(Vectors.dense(-TYPED[0] * 9),)], ["features"])
    ours = Keras2DML(spark, keras.Model(x, in_float64(x)), display=0)
    with pytest.raises(InvalidData, match="The DataFrame has 3 numbers out of range for the type"):
        ours.transform(beyond)
