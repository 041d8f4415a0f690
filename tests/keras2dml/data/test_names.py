"""Whatever has a name goes by it, as in Keras: inputs, outputs, losses, classes, columns."""

from __future__ import annotations

import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras.layers import Dense, Subtract
from oracle import complaints, near, seeded
from scipy.sparse import csr_matrix

from keras2dml import InvalidData
from keras2dml.estimators.scorer import CompiledModel, Scorer

KERAS = "ignore:__array__ implementation doesn't accept a copy keyword"
STRUCTURE = "ignore:The structure of `inputs` doesn't match"
pytestmark = [
    pytest.mark.spark,
    pytest.mark.systemds,
    pytest.mark.filterwarnings(KERAS, STRUCTURE),
]

A, B = np.random.default_rng(1).normal(size=(2, 12, 3))
BITS = np.arange(12) % 2


def difference(built_of: type = list) -> keras.Model:
    """Of two inputs, the first of which is called b."""
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    out = Dense(2)(Subtract()([a, Dense(3, "tanh")(b)]))
    return seeded(keras.Model([b, a] if built_of is list else {"b": b, "a": a}, out))


def crossed(keyed: bool = True) -> keras.Model:
    """Of two outputs; the layer of each is called as the other's key is."""
    x = keras.Input((3,), name="x")
    outputs = {"p": Dense(2, name="q")(x), "q": Dense(2, "tanh", name="p")(x)}
    return seeded(keras.Model(x, outputs if keyed else [outputs["p"], outputs["q"]]))


@pytest.mark.parametrize("built_of", [list, dict])
def test_inputs_of_a_dict_go_by_their_names(run, tmp_path, built_of):
    built = difference(built_of)
    ours = run(built)
    wanted = np.asarray(built({"a": A, "b": B}))
    for X in ({"a": A, "b": B}, {"b": B, "a": A}):
        near(ours.predict_proba(X), wanted, 1e-9)
    scorer = Scorer(ours.spark, ours.save_compiled(tmp_path / "model"))
    near(scorer.predict_proba({"a": A, "b": B}), wanted, 1e-9)
    if built_of is list:
        near(ours.predict_proba([B, A]), wanted, 1e-9)
        near(ours.predict_proba({"a": A, "b": B, "c": A}), wanted, 1e-9)  # as Keras ignores it


@pytest.mark.parametrize(
    ("built_of", "X"),
    [
        (list, {"a": A, "c": B}),
        (list, {"a": A}),
        (dict, {"a": A, "b": B, "c": A}),
        (dict, [A, B]),
        (list, [A]),
    ],
)
def test_inputs_of_other_names_are_refused(run, built_of, X):
    with pytest.raises(InvalidData, match=r"X .*inputs|inputs .*X"):
        run(difference(built_of)).predict(X)


def test_a_single_input_may_be_named(run):
    built = crossed(keyed=False)
    for found, output in zip(run(built).outputs({"x": A}), built(A), strict=True):
        near(found, np.asarray(output), 1e-9)
    with pytest.raises(InvalidData, match="X is a dict of y"):
        run(built).predict({"y": A})


def test_a_model_within_one_takes_a_dict_by_names(run):
    inner = difference()
    first, second = keras.Input((3,)), keras.Input((3,))
    built = keras.Model([first, second], inner({"a": first, "b": second}))
    near(run(built).predict_proba([A, B]), np.asarray(built([A, B])), 1e-9)


def test_a_saved_model_of_before_takes_inputs_by_their_places(spark, run, tmp_path):
    built = difference()
    file = run(built).save_compiled(tmp_path / "model") / "model.json"
    about = json.loads(file.read_text())
    for part in ("takes", "gives"):
        del about["graph"][part]
    file.write_text(json.dumps(about))
    scorer = Scorer(spark, CompiledModel.load(tmp_path / "model"))
    near(scorer.predict_proba([B, A]), np.asarray(built([B, A])), 1e-9)
    with pytest.raises(InvalidData, match="X is a dict of a, b, but the model's inputs are 1, 2"):
        scorer.predict_proba({"a": A, "b": B})


# What compile() is given by names or as a list, for outputs by keys and for outputs of layers.
COMPILED = [
    {"loss": {"p": "mse", "q": "mae"}},
    {"loss": {"q": "mae", "p": "mse"}, "loss_weights": {"q": 2.0, "p": 0.5}},
    {"loss": ["mse", "mae"], "loss_weights": [2.0, 0.5], "metrics": [["mae"], ["mse", "mape"]]},
    {"loss": "mse", "metrics": {"q": ["mae"]}, "weighted_metrics": {"p": ["mse"]}},
]


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("compiled", COMPILED)
def test_what_outputs_are_told_goes_by_keys_as_in_keras(run, compiled, keyed):
    built = crossed(keyed=keyed)
    built.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **compiled)
    ours = run(built)
    y = {"q": A[:, :2], "p": B[:, 1:]}
    if not keyed and "loss" in compiled and not isinstance(compiled["loss"], dict):
        y = [B[:, 1:], A[:, :2]]
    ours.fit(A, y, batch_size=4, epochs=1, shuffle=False)
    theirs = built.fit(A, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        near(np.array(ours.history[name]), np.array(values), 1e-6)
    near(np.array(ours.evaluate(A, y)), np.array(built.evaluate(A, y, verbose=0)), 1e-6)
    again = ours.to_keras()
    again.run_eagerly = True
    for found, wanted in zip(again.get_weights(), built.get_weights(), strict=True):
        near(found, wanted, 1e-8)
    measured = again.evaluate(A, y, verbose=0, return_dict=True)
    for name, value in built.evaluate(A, y, verbose=0, return_dict=True).items():
        near(np.array(measured[name]), np.array(value), 1e-6)


def test_outputs_of_a_dict_take_no_list(run):
    built = crossed()
    built.compile("sgd", "mse")
    with pytest.raises(InvalidData, match="outputs p, q: give y as a dict"):
        run(built).fit(A, [A[:, :2], B[:, :2]])


@pytest.mark.parametrize("y", [{"q": A}, {"p": A, "q": A, "r": A}])
@pytest.mark.parametrize("keyed", [True, False])
def test_targets_of_other_names_are_refused(run, y, keyed):
    built = crossed(keyed=keyed)
    built.compile("sgd", "mse")
    with pytest.raises(InvalidData, match=r"y is a dict of .*outputs are"):
        run(built).fit(A, y)


def test_losses_in_a_list_take_no_weights_by_names():
    built = crossed(keyed=False)
    built.compile("sgd", ["mse", "mae"], loss_weights={"p": 2.0, "q": 0.5})
    (complaint,) = complaints(built)
    assert complaint.startswith(
        "loss_weights are {'p': 2.0, 'q': 0.5}, but losses are ['mse', 'mae']"
    )


def test_dicts_within_dicts_are_refused():
    x = keras.Input((3,))
    nested = keras.Model(x, {"p": {"q": Dense(2)(x)}, "r": Dense(2)(x)})
    (complaint,) = complaints(nested)
    assert complaint.startswith("The outputs are nested lists or dicts.")


@pytest.mark.parametrize("keyed", [True, False])
def test_each_output_has_its_own_classes(run, keyed):
    x = keras.Input((3,))
    outputs = {"dish": Dense(3, "softmax", name="dish")(x)}
    outputs |= {"fresh": Dense(1, "sigmoid", name="fresh")(x), "price": Dense(1, name="price")(x)}
    built = seeded(keras.Model(x, outputs if keyed else [*outputs.values()]))
    losses = ["sparse_categorical_crossentropy", "binary_crossentropy", "mse"]
    built.compile("sgd", losses)
    dishes, words = np.array(["ham", "egg", "jam"]), np.array(["stale", "fresh"])
    y = {"dish": dishes[np.arange(12) % 3], "fresh": words[BITS], "price": A[:, 0]}
    ours = run(built).fit(A, y, epochs=2)
    shares, classes, said = ours.predict_proba(A), ours.classes_, ours.predict(A)
    if not keyed:
        shares, classes, said = (
            dict(zip(y, part, strict=True)) for part in (shares, classes, said)
        )
    assert [*said] == [*y]
    assert [*classes["dish"]] == sorted(dishes) and [*classes["fresh"]] == sorted(words)
    assert classes["price"] is None
    np.testing.assert_array_equal(said["dish"], np.sort(dishes)[shares["dish"].argmax(axis=1)])
    places = shares["fresh"].argmax(axis=1)
    np.testing.assert_array_equal(said["fresh"], np.sort(words)[places])
    np.testing.assert_array_equal(said["price"], shares["price"][:, 0])
    right = [np.mean(said[name] == y[name]) for name in ("dish", "fresh")]
    spread = ((A[:, 0] - A[:, 0].mean()) ** 2).sum()
    right.append(1 - ((y["price"] - said["price"]) ** 2).sum() / spread)
    assert ours.score(A, y) == pytest.approx(np.mean(right))


def table(rows: np.ndarray = A) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["height", "width", "depth"])


def small() -> keras.Model:
    built = seeded(keras.Sequential([keras.Input((3,)), Dense(2, "softmax")]))
    built.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return built


def test_columns_of_a_table_go_by_their_names(run):
    ours = run(small())
    assert not hasattr(ours, "feature_names_in_")
    turned = table()[["depth", "height", "width"]]
    near(ours.predict_proba(turned), ours.predict_proba(turned.to_numpy()), 1e-12)
    ours.fit(table(), BITS, epochs=1, validation_data=(turned, BITS), batch_size=4)
    assert [*ours.feature_names_in_] == ["height", "width", "depth"]
    near(ours.predict_proba(turned), ours.predict_proba(A), 1e-12)
    assert ours.score(turned, BITS) == ours.score(A, BITS)
    near(
        np.array(ours.history["val_loss"]),
        ours.to_keras().evaluate(A, BITS, verbose=0),
        1e-6,
    )
    ours.fit(turned, BITS, epochs=1)
    assert [*ours.feature_names_in_] == ["height", "width", "depth"]
    with pytest.raises(InvalidData, match=r"X has other columns .*: missing depth; new breadth\."):
        ours.predict(table().rename(columns={"depth": "breadth"}))


@pytest.mark.parametrize("columns", [[0, 1, 2], ["a", "a", "b"]])
def test_columns_without_names_of_their_own_go_by_their_places(run, columns):
    ours = run(small())
    ours.fit(pd.DataFrame(A, columns=columns), BITS, epochs=1)
    assert not hasattr(ours, "feature_names_in_")


@pytest.mark.parametrize(
    "X", [A.astype(complex), np.ma.masked_less(A, 0), csr_matrix(A.astype(complex)), [[1j] * 3]]
)
def test_lossy_conversions_of_numbers_are_refused(run, X):
    with pytest.raises(InvalidData, match=r"X has (complex numbers|numbers that are masked)"):
        run(small()).predict(X)
