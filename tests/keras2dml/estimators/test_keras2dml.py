"""Keras2DML as its users call it: SystemML's names, both layouts of X, files, and clear errors."""

from __future__ import annotations

import gc
import io

import keras
import numpy as np
import pytest
from keras.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Conv2D,
    Dense,
    Flatten,
    MaxPooling2D,
    MultiHeadAttention,
)
from oracle import examples, model, seeded
from rich.console import Console

from keras2dml import InvalidData, Keras2DML, Scorer
from keras2dml.estimators.scorer import CompiledModel

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

IMAGE = (8, 6, 2)


def small() -> keras.Model:
    return model(
        IMAGE,
        Conv2D(3, 3, padding="same", activation="relu", name="first"),
        MaxPooling2D(),
        Flatten(),
        Dense(4, "softmax", name="last"),
    )


@pytest.fixture
def fitted(spark):
    built = small()
    ours = Keras2DML(spark, built, input_shape=(2, 8, 6), batch_size=5, max_iter=4, display=0)
    return ours.fit(examples(built, 20), np.arange(20) % 4)


def test_rows_are_accepted_in_both_layouts(fitted):
    features = examples(small(), 7)
    rows = features.transpose(0, 3, 1, 2).reshape(7, -1)
    np.testing.assert_array_equal(fitted.predict_proba(features), fitted.predict_proba(rows))


def test_predictions_are_those_of_the_keras_model_with_its_weights(fitted):
    features, labels = examples(small(), 30), np.arange(30) % 4
    wanted = fitted.to_keras().predict(features, verbose=0)
    np.testing.assert_allclose(fitted.predict_proba(features), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(fitted.predict(features), wanted.argmax(axis=1))
    assert fitted.score(features, labels) == np.mean(wanted.argmax(axis=1) == labels)
    assert fitted.score(features, np.eye(4)[labels]) == fitted.score(features, labels)


def test_the_keras_model_is_not_changed(spark):
    built = small()
    before = built.get_weights()
    ours = Keras2DML(spark, built, batch_size=5, max_iter=2, display=0)
    ours.fit(examples(built, 10), np.arange(10) % 4)
    for found, wanted in zip(built.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not built.compiled


def test_labels_may_have_names(spark):
    built = small()
    names = np.array(["ash", "birch", "cedar", "dogwood"])
    ours = Keras2DML(spark, built, batch_size=5, max_iter=2, display=0)
    ours.fit(examples(built, 8), names[np.arange(8) % 4])
    assert set(ours.predict(examples(built, 8))) <= set(names)
    assert list(ours.classes_) == list(names)
    with pytest.raises(InvalidData, match="y has the labels ash, elm, but the model has 4 outputs"):
        ours.fit(examples(built, 2), ["ash", "elm"])


@pytest.mark.parametrize("kind", ["binary", "csv", "text"])
def test_weights_are_saved_and_loaded_by_layer(spark, fitted, tmp_path, kind):
    fitted.save(tmp_path / "weights", format=kind)
    names = {path.name for path in (tmp_path / "weights").iterdir() if path.suffix == ".mtx"}
    assert names == {"first_weight.mtx", "first_bias.mtx", "last_weight.mtx", "last_bias.mtx"}
    keras.utils.clear_session()
    other = Keras2DML(spark, small()).load(tmp_path / "weights")
    features = examples(small(), 7)
    near = {"rtol": 1e-12} if kind != "binary" else {"rtol": 0}
    np.testing.assert_allclose(
        other.predict_proba(features), fitted.predict_proba(features), **near
    )


def test_save_and_close_leave_other_files(spark, fitted, tmp_path):
    thesis = tmp_path / "thesis.txt"
    thesis.touch()
    for target, match in [(tmp_path, "has 'thesis.txt', which is no"), (thesis, "is a file")]:
        with pytest.raises(InvalidData, match=match):
            fitted.save(target)
    Keras2DML(spark, small(), weights=tmp_path).close()
    assert thesis.exists() and thesis.is_file()


def test_weights_of_some_layers_can_be_left_as_they_are(spark, fitted, tmp_path):
    fitted.save(tmp_path / "weights")
    keras.utils.clear_session()
    other = Keras2DML(spark, small()).load(tmp_path / "weights", ignore_weights=["last"])
    found, trained, fresh = (
        keras_model.get_weights() for keras_model in (other.to_keras(), fitted.to_keras(), small())
    )
    np.testing.assert_array_equal(found[0], trained[0])
    np.testing.assert_array_equal(found[2], fresh[2])
    with pytest.raises(InvalidData, match="ignore_weights names lost"):
        other.load(tmp_path / "weights", ignore_weights=["lost"])


def test_missing_and_foreign_weights_are_refused(spark, fitted, tmp_path):
    with pytest.raises(InvalidData, match=r"There is no folder .*nowhere: give one that save\(\)"):
        fitted.load(tmp_path / "nowhere")
    with pytest.raises(InvalidData, match=r"lacks first_weight\.mtx, first_bias\.mtx"):
        fitted.load(tmp_path)
    fitted.save(tmp_path / "weights")
    keras.utils.clear_session()
    wider = model(IMAGE, Conv2D(5, 3, name="first"), Flatten(), Dense(4, "softmax", name="last"))
    with pytest.raises(
        InvalidData, match=r"first_weight\.mtx is 3 x 18, but the model's first_W is 5 x 18"
    ):
        Keras2DML(spark, wider).load(tmp_path / "weights")


def test_fit_writes_the_weights_folder(spark, tmp_path):
    built = small()
    ours = Keras2DML(spark, built, weights=tmp_path / "made" / "weights", max_iter=1, display=0)
    ours.fit(examples(built, 8), np.arange(8) % 4)
    ours.fit(examples(built, 8), np.arange(8) % 4)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["weights"]
    again = Keras2DML(spark, built).load(tmp_path / "made" / "weights")
    features = examples(built, 3)
    np.testing.assert_array_equal(again.predict_proba(features), ours.predict_proba(features))


def test_a_compiled_model_is_scored_from_its_folder(spark, fitted, tmp_path):
    folder = fitted.save_compiled(tmp_path / "compiled")
    features = examples(small(), 600)
    scorer = Scorer(spark, folder)
    np.testing.assert_array_equal(scorer.predict_proba(features), fitted.predict_proba(features))
    (folder / "weights.bin").unlink()
    with pytest.raises(InvalidData, match="holds no compiled model"):
        CompiledModel.load(folder)


def test_a_collected_scorer_frees_its_weights(spark, fitted, tmp_path):
    scorer = Scorer(spark, fitted.save_compiled(tmp_path / "compiled"))
    weights = [matrix.data for matrix in scorer._weights.values()]
    assert not any(matrix.isCleanupEnabled() for matrix in weights)
    del scorer
    gc.collect()
    assert all(matrix.isCleanupEnabled() for matrix in weights)


def test_progress_is_reported_every_so_many_iterations(spark, capsys):
    built = small()
    features, labels = examples(built, 40), np.arange(40) % 4
    Keras2DML(spark, built, batch_size=5, max_iter=8, display=4).fit(features, labels)
    printed = [line for line in capsys.readouterr().out.splitlines() if "Iter:" in line]
    assert [line.split(",")[0] for line in printed] == ["Iter:4", "Iter:8"]
    assert "training loss:" in printed[0] and "training accuracy:" in printed[0]
    seen = []
    ours = Keras2DML(spark, built, batch_size=5, max_iter=8, display=4)
    ours.fit(features, labels, report=seen.extend)
    assert [step.number for step in seen] == list(range(1, 9))
    assert "Iter:" not in capsys.readouterr().out


def test_summary_names_every_step(fitted):
    console = Console(width=160, file=io.StringIO())
    fitted.summary(console)
    for part in ("first", "max_pooling2d", "N x 3 x 8 x 6", "4 x 1", "last_softmax"):
        assert part.replace("4 x 1", "1 x 4") in console.file.getvalue()


def test_scripts_name_the_layers(fitted):
    assert "first_conv2d = conv2d_forward(X=X_batch, W=first_W" in fitted.get_prediction_script()
    assert "[d_first_W, d_first_b] = conv2d_gradients(" in fitted.get_training_script()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda X, y: (X[:, :, :, 0], y),
            r"X has shape \(8, 8, 6\). The model takes \(N, 8, 6, 2\)",
        ),
        (lambda X, y: (X.reshape(8, -1)[:, :95], y), "or rows of 96 elements"),
        (
            lambda X, y: (X, y + 1),
            "y has labels out of range: 4. A model with 4 outputs takes 0 to 3",
        ),
        (lambda X, y: (X, y - 0.5), "out of range: -0.5, 0.5"),
        (lambda X, y: (X, y[:5]), r"y has shape \(5,\), X has 8 rows"),
        (lambda X, y: (X, np.ones((8, 3))), "y has 3 columns, but the model has 4 outputs"),
        (
            lambda X, y: (np.where(X > 1, np.nan, X), y),
            "values that are NaN or infinite, the first in row",
        ),
        (lambda X, y: (X, np.where(y == 2, np.nan, y)), "out of range: nan"),
        (lambda X, y: (X[:0], y[:0]), "X is empty"),
        (lambda X, y: ([["a"]], y), "X is not an array of numbers"),
    ],
)
def test_data_that_does_not_fit_is_refused(fitted, change, match):
    features, labels = change(examples(small(), 8), np.arange(8) % 4)
    with pytest.raises(InvalidData, match=match):
        fitted.fit(features, labels)


def test_settings_that_do_not_fit_are_refused(spark):
    with pytest.raises(InvalidData, match=r"input_shape is \(8, 6, 2\), in the order C,H,W"):
        Keras2DML(spark, small(), input_shape=(8, 6, 2))
    with pytest.raises(InvalidData, match="batch_size is 0"):
        Keras2DML(spark, small(), batch_size=0)
    flat = model((96,), Dense(3, "softmax"))
    Keras2DML(spark, flat, input_shape=(2, 8, 6))
    sparse = small()
    sparse.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(InvalidData, match="the loss is sparse: give class numbers"):
        Keras2DML(spark, sparse).fit(examples(sparse, 4), np.eye(4))


def numbered(begin: int, seed: int) -> keras.Model:
    """The same model as a notebook builds it again: its layers have other numbers."""
    layers = [
        Dense(4, "tanh", name=f"dense_{begin}" if begin else "dense"),
        Dense(4, "tanh", name=f"dense_{begin + 9}"),
        Dense(2, "softmax", name=f"dense_{begin + 10}"),
    ]
    return model((4,), *layers, seed=seed)


@pytest.mark.parametrize("begin", [1, 3, 20])
def test_weights_of_layers_with_other_numbers_are_matched_by_order(spark, tmp_path, begin):
    first = numbered(0, seed=1)
    Keras2DML(spark, first).save(tmp_path / "weights")
    other = Keras2DML(spark, numbered(begin, seed=2))
    with pytest.warns(UserWarning, match=f"matched by order: .*dense_9 for dense_{begin + 9}"):
        other.load(tmp_path / "weights")
    for found, wanted in zip(other.to_keras().get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    with pytest.warns(UserWarning, match="matched by order"):
        part = Keras2DML(spark, numbered(begin, seed=2)).load(
            tmp_path / "weights", ignore_weights=[f"dense_{begin + 10}"]
        )
    np.testing.assert_array_equal(part.to_keras().get_weights()[0], first.get_weights()[0])
    # The second layer of one is called as the first of the other.
    shifted = [Dense(4, "tanh", name="dense_9"), Dense(4, "tanh", name="dense_11")]
    two = Keras2DML(spark, model((4,), *shifted, Dense(2, "softmax", name="dense_12"), seed=2))
    with pytest.warns(UserWarning, match="matched by order: dense for dense_9"):
        two.load(tmp_path / "weights", ignore_weights=["dense_11", "dense_12"])
    np.testing.assert_array_equal(two.to_keras().get_weights()[0], first.get_weights()[0])
    fewer = Keras2DML(spark, model((4,), Dense(4, "tanh", name="dense_7"), Dense(2, "softmax")))
    with pytest.raises(InvalidData, match=r"lacks dense_7_weight\.mtx"):
        fewer.load(tmp_path / "weights")


def repeated(seed: int) -> keras.Model:
    """Layers whose parts have the names that parts of others have, too."""
    x = begin = keras.Input((3, 4))
    for _ in range(2):
        x = LSTM(4, return_sequences=True)(x)
        x = MultiHeadAttention(2, 2)(x, x)
    x = Bidirectional(GRU(2))(x)
    for name in ("a-b", "a_b", "a_b_W", "n" * 300):
        x = Dense(4, name=name)(x)
    inner = [keras.Sequential([keras.Input((4,)), Dense(4, name="d")], name=f"in{n}") for n in "12"]
    return seeded(keras.Model(begin, inner[1](inner[0](x))), seed)


def test_each_weight_has_its_own_file(spark, tmp_path):
    first = repeated(seed=1)
    Keras2DML(spark, first).save(tmp_path / "weights")
    assert len([*(tmp_path / "weights").glob("*.mtx")]) == len(first.weights)
    keras.utils.clear_session(free_memory=False)
    other = Keras2DML(spark, repeated(seed=2)).load(tmp_path / "weights")
    for found, wanted in zip(other.to_keras().get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    with pytest.warns(UserWarning, match="matched by order: .*multi_head_attention"):
        again = Keras2DML(spark, repeated(seed=2)).load(
            tmp_path / "weights", ignore_weights=["in2"]
        )
    before = repeated(seed=2).get_weights()
    for found, wanted in zip(
        again.to_keras().get_weights(), [*first.get_weights()[:-2], *before[-2:]], strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
