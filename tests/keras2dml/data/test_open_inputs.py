"""Models that leave sizes of inputs open: with `input_shape` they are those of these sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers, ops
from oracle import FORWARD, WEIGHTS, near, seeded

from keras2dml import InvalidData, Keras2DML, Scorer, UnsupportedModel
from keras2dml.__main__ import main
from keras2dml.compilation import Compilation
from keras2dml.export import stored

SEQUENCES: dict[str, Callable[[Any], Any]] = {
    "conv1d": lambda x: 1.0 * layers.Conv1D(3, 3, padding="causal", activation="relu")(x),
    "strided": lambda x: layers.MaxPooling1D(2)(layers.Conv1D(3, 2, strides=2, padding="same")(x)),
    "separable": lambda x: layers.SeparableConv1D(3, 2)(layers.ZeroPadding1D(1)(x)),
    "transposed": lambda x: layers.Conv1DTranspose(3, 2, strides=2)(layers.Cropping1D(1)(x)),
    "lstm": lambda x: layers.LSTM(3)(layers.Bidirectional(layers.GRU(2, return_sequences=True))(x)),
    "masked": lambda x: layers.LSTM(3, return_sequences=True)(layers.Masking()(x)),
    "attention": lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
    "scored": lambda x: layers.AdditiveAttention()([x, layers.Dense(4)(x)]),
    "normed": lambda x: layers.LayerNormalization()(layers.BatchNormalization()(x)),
    "distributed": lambda x: 1.0 * layers.TimeDistributed(layers.Dense(3, "softmax"))(x),
    "dropped": lambda x: layers.SpatialDropout1D(0.5)(layers.UpSampling1D(2)(x)),
    "einsum": lambda x: 1.0 * layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(x),
    "reshaped": lambda x: layers.Dense(3)(layers.Reshape((-1, 2))(x)),
    "permuted": lambda x: layers.GlobalAveragePooling1D()(layers.Permute((2, 1))(x)),
    "joined": lambda x: layers.Concatenate(axis=1)([x, layers.Conv1D(4, 2)(x)]),
    "picked": lambda x: x[:, -1] + ops.mean(x, axis=1),
    "every other": lambda x: ops.flip(x[:, ::2], axis=1) * 2.0,
    "softmax": lambda x: ops.softmax(x, axis=1),
    "product": lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))),
    "rows": lambda x: ops.reshape(x, (-1, 3, 8)),
}
IMAGES: dict[str, Callable[[Any], Any]] = {
    "convolved": lambda x: layers.MaxPooling2D()(layers.Conv2D(3, 3, padding="same")(x)),
    "depthwise": lambda x: layers.DepthwiseConv2D(2, strides=2)(layers.ZeroPadding2D(1)(x)),
    "enlarged": lambda x: 1.0 * layers.Conv2DTranspose(2, 3, strides=2, padding="same")(x),
    "interpolated": lambda x: 1.0 * layers.UpSampling2D(2, interpolation="bilinear")(x),
    "resized": lambda x: layers.Dense(3)(layers.Flatten()(layers.Resizing(4, 4)(x))),
    "cropped": lambda x: layers.CenterCrop(4, 3)(layers.Cropping2D(1)(x)),
    "averaged": lambda x: layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(x)),
    "grouped": lambda x: 1.0 * layers.GroupNormalization(2)(x),
}
VECTORS: dict[str, Callable[[Any], Any]] = {
    "embedded": lambda x: layers.LSTM(3)(layers.Embedding(9, 4, mask_zero=True)(x)),
    "repeated": lambda x: layers.GRU(2)(layers.Reshape((-1, 4))(x)),
    "activated": lambda x: ops.tanh(x) * 2.0,
}
CASES = [
    *(((None, 4), (6, 4), function) for function in SEQUENCES.values()),
    *(((None, None, 2), (8, 7, 2), function) for function in IMAGES.values()),
    *(((None,), (8,), function) for function in VECTORS.values()),
]


@pytest.mark.parametrize(
    ("opened", "fixed", "function"), CASES, ids=[*SEQUENCES, *IMAGES, *VECTORS]
)
def test_it_is_compiled_as_the_model_of_these_sizes(opened, fixed, function):
    texts = []
    for shape in (opened, fixed):
        keras.utils.clear_session(free_memory=False)
        x = keras.Input(shape, name="x")
        built = keras.Model(x, function(x), name="built")
        built.compile("sgd", "mse")
        sizes = (fixed[2], *fixed[:2]) if len(fixed) == 3 else fixed
        compiled = Compilation.of(built, input_shape=sizes)
        script = compiled.training_script().text
        constants = {name: one.matrix.tolist() for name, one in compiled.graph.constants()}
        texts.append((stored.to_json(compiled.graph), script, constants))
    assert texts[0] == texts[1]


def several(kind: type) -> keras.Model:
    """Of images, sequences and words of any size, taken as a list or as a dict."""
    images, series = keras.Input((None, None, 3), name="images"), keras.Input((None, 8), name="s")
    words = keras.Input((None,), name="words")
    seen = layers.Conv2D(2, 3, activation="tanh")(images)
    parts = [
        layers.GlobalAveragePooling2D()(seen),
        layers.LSTM(3)(series),
        layers.GRU(2)(layers.Embedding(7, 3)(words)),
    ]
    out = layers.Dense(3, "softmax")(layers.Concatenate()(parts))
    inputs = [images, series, words]
    return seeded(keras.Model(kind((one.name, one) for one in inputs), out))


@pytest.mark.slow
@pytest.mark.systemds
def test_inputs_of_open_sizes_score_and_train_as_keras(spark, run, tmp_path):
    built = several(dict)
    how = {"metrics": ["accuracy"], "run_eagerly": True}
    built.compile("adam", "sparse_categorical_crossentropy", **how)
    generator = np.random.default_rng(3)
    X = {
        "images": generator.normal(size=(7, 6, 5, 3)),
        "s": generator.normal(size=(7, 4, 8)),
        "words": generator.integers(0, 7, (7, 5)).astype(float),
    }
    y = generator.integers(0, 3, 7)
    shapes = {"words": (5,), "images": (3, 6, 5), "s": (4, 8, 1)}
    ours = run(built, input_shape=shapes).set(output_activations=tmp_path / "layers")
    ours.fit(X, y, batch_size=4, epochs=2, shuffle=False, validation_data=(X, y))
    history = built.fit(
        X, y, batch_size=4, epochs=2, shuffle=False, verbose=0, validation_data=(X, y)
    )
    for found, trained in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, trained, WEIGHTS["float64"])
    assert ours.history.keys() == history.history.keys()
    for name, values in history.history.items():
        near(np.array(ours.history[name]), np.array(values), 1e-6)
    expected = np.asarray(ours.to_keras()(X))
    near(ours.predict_proba(X), expected, FORWARD["float64"])
    assert np.loadtxt(tmp_path / "layers" / "lstm.csv", delimiter=",").shape == (7, 3)
    ours.save(tmp_path / "weights")
    again = run(built, input_shape=shapes).load(tmp_path / "weights")
    near(again.predict_proba(X), expected, FORWARD["float64"])
    near(
        Scorer(spark, ours.save_compiled(tmp_path / "compiled")).predict_proba(X),
        expected,
        FORWARD["float64"],
    )
    ours.to_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    named = dict(zip((slot.name for slot in session.get_inputs()), X.values(), strict=True))
    single = {name: value.astype(np.float32) for name, value in named.items()}
    near(session.run(None, single)[0], expected, FORWARD["float32"])


def test_a_list_of_shapes_goes_by_the_models_order():
    inputs = [keras.Input((None,), name="a"), keras.Input((None, 2), name="b")]
    built = keras.Model(inputs, layers.Dense(2)(layers.Embedding(4, 2)(inputs[0]) + inputs[1]))
    graph = Compilation.of(built, input_shape=[(5,), (5, 2)]).graph
    assert [value.shape for value in graph.inputs] == [(5,), (5, 2)]
    alone = keras.Sequential([keras.Input((None, 4)), layers.Dense(2)])
    for sizes in ((3, 4), [3, 4], [(3, 4)], (np.int64(3), 4), (3, 4, 1)):
        assert Compilation.of(alone, input_shape=sizes).graph.input.shape == (3, 4)


def sequences() -> keras.Model:
    return keras.Sequential([keras.Input((None, 8), name="s"), layers.LSTM(2), layers.Dense(2)])


def images() -> keras.Model:
    convolution = layers.Conv2D(4, 5)
    return keras.Sequential(
        [keras.Input((None, None, 3)), convolution, layers.GlobalMaxPooling2D(), layers.Dense(2)]
    )


def added() -> keras.Model:
    a, b = keras.Input((None, 4), name="a"), keras.Input((None, 4), name="b")
    return keras.Model([a, b], layers.Dense(2)(layers.Add()([a, b])))


@pytest.mark.parametrize(
    ("built", "sizes", "match"),
    [
        (sequences, None, r"The input has the open shape \(None, 8\).*by the estimator's input_sh"),
        (images, None, r"The input has the open shape \(None, None, 3\)"),
        (added, None, r"(?s)The input 'a' has the open .*The input 'b' has the open"),
        (sequences, (5,), r"is \(5,\), in the order C,H,W; the model takes \(None, 8\): give a nu"),
        (sequences, (5, 7), r"the model takes \(None, 8\): give a number for each None"),
        (sequences, (0, 8), r"input_shape is \(0, 8\)"),
        (sequences, 5, r"input_shape is 5. Give a tuple of sizes for each .*: a list"),
        (sequences, {"t": (5, 8)}, "input_shape is a dict of t, but the model's inputs are s"),
        (images, (9, 8, 3), r"is \(9, 8, 3\), in the order C,H,W; the model takes \(3, None, None"),
        (images, (3, 4, 4), r"do not take examples of \(4, 4, 3\) \(Computed output size.*give an"),
        (added, [(5, 4), (6, 4)], r"do not take examples of \(5, 4\), \(6, 4\) \(Inputs have inc"),
        (added, [(5, 4), (5, 3)], r"input_shape of b is \(5, 3\)"),
        (added, (5, 4), "input_shape is|give input_shape as a list"),
    ],
)
def test_what_does_not_fit_is_refused(built, sizes, match):
    with pytest.raises((UnsupportedModel, InvalidData), match=match):
        Compilation.of(built(), input_shape=sizes)


def test_other_complaints_come_with_the_open_size():
    built = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 5), layers.AutoContrast()]
    )
    with pytest.raises(UnsupportedModel) as refused:
        Compilation.of(built)
    assert [str(one).split()[0] for one in refused.value.complaints] == ["The", "Layer"]


def test_the_command_line_takes_the_sizes(tmp_path, capsys):
    texts = []
    for name, shape in {"open": (None, 8), "fixed": (5, 8)}.items():
        built = keras.Sequential([keras.Input(shape), layers.LSTM(2), layers.Dense(2)], name="m")
        built.compile("sgd", "mse")
        keras.utils.clear_session(free_memory=False)
        built.save(tmp_path / f"{name}.keras")
        out = str(tmp_path / name)
        arguments = ["compile", str(tmp_path / f"{name}.keras"), "-o", out]
        if name == "open":
            assert main(arguments) == 1
            assert "open shape (None, 8). Every size" in capsys.readouterr().err
        assert main([*arguments, "--input-shape", "5,8"]) == 0
        texts.append((tmp_path / name / "train.dml").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.systemds
def test_a_clone_and_spark_ml_have_the_sizes(spark, run):
    from sklearn.base import clone

    from keras2dml.spark_ml import Keras2DMLRegressor

    built = keras.Sequential([keras.Input((None, 2)), layers.LSTM(2), layers.Dense(1)])
    built.compile("sgd", "mse")
    ours: Keras2DML = clone(run(built, input_shape=(3, 2)))
    X, y = np.arange(24.0).reshape(4, 3, 2) / 24, np.arange(4.0)
    ours.fit(X, y, epochs=1, batch_size=4)
    rows = [(float(number), row.tolist()) for number, row in zip(y, X.reshape(4, 6), strict=True)]
    frame = spark.createDataFrame(rows, ["label", "features"])
    fitted = Keras2DMLRegressor(built, inputShape=[3, 2], batchSize=4).fit(frame)
    scored = fitted.transform(frame).orderBy("label").toPandas()["prediction"]
    near(scored.to_numpy(), ours.predict(X), FORWARD["float64"])


@pytest.mark.parametrize("sizes", [(5,), (4, 1), (4, 5, 1)])
def test_a_last_axis_of_one_may_be_missing_or_too_many_as_with_keras(spark, sizes):
    built = keras.Sequential([keras.Input(sizes), layers.Flatten(), layers.Dense(2)])
    built.compile("sgd", "mse")
    ours = Keras2DML(spark, built)
    X = np.random.default_rng(5).normal(size=(6, *sizes))
    for features in (X[..., 0] if sizes[-1] == 1 else X, X[..., np.newaxis]):
        near(ours.outputs(features)[0], np.asarray(built(features)), 1e-9)


def test_inputs_of_different_lengths_are_named(spark):
    first, second = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    ours = Keras2DML(spark, keras.Model([first, second], layers.Add()([first, second])))
    with pytest.raises(InvalidData, match=r"numbers of rows: first has 3, second has 4\. Give"):
        ours.predict([np.ones((3, 2)), np.ones((4, 2))])
