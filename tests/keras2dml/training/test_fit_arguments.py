"""The other arguments of fit, evaluate and score: Keras and scikit-learn are the oracles."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import Dense
from oracle import model, near
from sklearn.metrics import accuracy_score, r2_score
from small_models import FIT, HELD, X, Y, both, same

from keras2dml import InvalidData, InvalidSession, Keras2DML

KERAS = "ignore:__array__ implementation doesn't accept a copy keyword"
SHORT = "ignore:Your input ran out of data"
pytestmark = [
    pytest.mark.spark,
    pytest.mark.systemds,
    pytest.mark.filterwarnings(KERAS, SHORT),
]

WEIGHTS = np.linspace(0.5, 2, 23)


class Counter(keras.callbacks.Callback):
    """After how many steps each epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[int] = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(int(self.model.optimizer.iterations))


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [(2, 5), (5, 2), (9, 2), pytest.param(1, 5, marks=LONG), pytest.param(3, 5, marks=LONG)],
)
def test_an_epoch_has_the_steps_that_keras_makes(run, steps, epochs):
    counters = {"ours": Counter(), "theirs": Counter()}
    arguments = {"epochs": epochs, "steps_per_epoch": steps, "validation_data": None}
    ours, _ = both(run, lambda name: [counters[name]], **arguments)
    assert counters["ours"].ends == counters["theirs"].ends
    assert counters["ours"].params["steps"] == counters["theirs"].params["steps"]
    assert len(ours.iterations) == counters["ours"].ends[-1]


def test_steps_need_epochs_that_end_with_them(run):
    ours = run(model((7,), Dense(3, "softmax")))
    with pytest.raises(InvalidData, match="steps_per_epoch is given without epochs"):
        ours.fit(X, Y, steps_per_epoch=2)
    with pytest.raises(InvalidData, match="steps_per_epoch is 0"):
        ours.fit(X, Y, epochs=1, steps_per_epoch=0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"validation_steps": 1},
        {"validation_steps": 2, "validation_batch_size": 2},
        {"validation_steps": 7, "validation_freq": 2},
        {"validation_freq": [1, 3], "epochs": 3},
    ],
)
def test_validation_is_measured_when_and_on_what_keras_does(run, arguments):
    both(run, lambda _: [], **arguments)


@pytest.mark.parametrize(
    "wrong", [{"validation_steps": 0}, {"validation_batch_size": -1}, {"validation_freq": 0}]
)
def test_validation_has_batches_and_epochs(run, wrong):
    (name,) = wrong
    with pytest.raises(InvalidData, match=rf"^{name} is "):
        run(model((7,), Dense(3, "softmax"))).fit(X, Y, epochs=1, validation_data=HELD, **wrong)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "hinge"])
def test_evaluate_returns_what_keras_returns(run, loss):
    width, y = (1, (Y > 0).astype(float)) if loss == "hinge" else (3, Y)
    built = model((7,), Dense(width, "tanh" if width == 1 else "softmax"))
    metrics = ["mse", "mae"] if width == 1 else ["accuracy", loss]
    how = {"metrics": metrics[:1], "weighted_metrics": metrics[1:]}
    built.compile("sgd", loss, **how, run_eagerly=loss == "hinge")
    ours = run(built)
    for arguments in ({}, {"sample_weight": WEIGHTS}, {"steps": 2}, {"return_dict": True}):
        found = ours.evaluate(X, y, batch_size=5, **arguments)
        wanted = built.evaluate(X, y, batch_size=5, verbose=0, **arguments)
        if isinstance(wanted, dict):
            assert found.keys() == wanted.keys()
            found, wanted = ([one[name] for name in wanted] for one in (found, wanted))
        same(found, wanted, 1e-6)
    with pytest.raises(InvalidData, match=r"^steps is 0"):
        ours.evaluate(X, y, steps=0)
    built.compile("sgd", loss, run_eagerly=True)
    assert run(built).evaluate(X, y, 5, verbose=0) == pytest.approx(
        built.evaluate(X, y, 5, verbose=0)
    )


@pytest.mark.filterwarnings("ignore:(?s).*The structure of `inputs`")
def test_a_single_array_may_come_in_a_list(run):
    built = model((7,), Dense(3, "softmax"))
    built.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=[], run_eagerly=True)
    ours = run(built)
    wanted = built.evaluate([X], [Y], sample_weight=[WEIGHTS], verbose=0)
    assert ours.evaluate([X], [Y], sample_weight=[WEIGHTS]) == pytest.approx(wanted)
    same(ours.predict_proba((X,)), ours.predict_proba(X), 0)
    same(ours.predict_proba([list(X[0])]), ours.predict_proba(X[:1]), 0)


@pytest.mark.parametrize("weights", [[WEIGHTS, None], [None, WEIGHTS], WEIGHTS, WEIGHTS.tolist()])
def test_each_output_has_weights_or_none(run, weights):
    begin = keras.Input((7,))
    built = keras.Model(begin, [Dense(1)(begin), Dense(1)(begin)])
    built.compile("sgd", ["mse", "mse"], run_eagerly=True)
    numbers = X[:, :1]
    if isinstance(weights, list) and len(weights) > 2:
        with pytest.raises(InvalidData, match="give sample_weight as a list with an array for"):
            run(built).evaluate(X, [numbers, numbers], sample_weight=weights)
        return
    wanted = built.evaluate(X, [numbers, numbers], sample_weight=weights, verbose=0)
    found = run(built).evaluate(X, [numbers, numbers], sample_weight=weights)
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_keyed_output_has_its_weights_by_its_name(run):
    begin = keras.Input((7,))
    built = keras.Model(begin, {"o": Dense(1)(begin)})
    built.compile("sgd", "mse", run_eagerly=True)
    wanted = built.evaluate(X, {"o": X[:, :1]}, sample_weight={"o": WEIGHTS}, verbose=0)
    found = run(built).evaluate(X, {"o": X[:, :1]}, sample_weight={"o": WEIGHTS})
    assert found == pytest.approx(wanted, rel=1e-6)


def test_rows_of_different_lengths_are_refused(run):
    ours = run(model((7,), Dense(3, "softmax")))
    for data in ((X, [[1, 0, 0], [1]]), ([[1.0, 2.0], [1.0]], Y)):
        with pytest.raises(InvalidData, match="has rows of different lengths"):
            ours.fit(*data, epochs=1)


def test_a_score_counts_rows_by_their_weights(run, spark):
    ours = run(model((7,), Dense(3, "softmax")))
    wanted = accuracy_score(Y, ours.predict(X), sample_weight=WEIGHTS)
    assert ours.score(X, Y, sample_weight=WEIGHTS) == pytest.approx(wanted)
    rows = [
        (row.tolist(), int(label), float(weight))
        for row, label, weight in zip(X, Y, WEIGHTS, strict=True)
    ]
    frame = spark.createDataFrame(rows, ["features", "label", "w"])
    assert ours.score(frame, sample_weight="w") == pytest.approx(wanted)
    built = model((7,), Dense(2))
    built.compile("sgd", "mse")
    ours, numbers = run(built), X[:, :2] * [1.0, 10.0]
    wanted = r2_score(numbers, ours.predict(X), sample_weight=WEIGHTS)
    assert ours.score(X, numbers, WEIGHTS) == pytest.approx(wanted)
    with pytest.raises(InvalidData, match="sample_weight sums to 0"):
        ours.score(X, numbers, 0 * WEIGHTS)


def test_a_weight_for_all_steps_of_an_example_is_spread_as_in_keras(run):
    built = model((4, 3), Dense(2))
    built.compile("sgd", "mse", weighted_metrics=["mae"], run_eagerly=True)
    steps, weights = np.arange(276.0).reshape(23, 4, 3) / 276, WEIGHTS.reshape(-1, 1)
    wanted = built.evaluate(steps, steps[..., :2], sample_weight=weights, verbose=0)
    found = run(built).evaluate(steps, steps[..., :2], sample_weight=weights)
    assert found == pytest.approx(wanted, rel=1e-6)
    built.compile("sgd", keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    with pytest.raises(InvalidData, match=r"give \(4,\) weights for each example"):
        run(built).evaluate(steps, steps[..., :2], sample_weight=weights)


@pytest.mark.parametrize("labels", [(1, 2), (0, 7), (0.5, 1.5), (-1, 0), (-1, 0.5)])
@pytest.mark.parametrize("loss", ["binary_crossentropy", "hinge"])
def test_labels_that_are_no_two_classes_are_refused(run, labels, loss):
    built = model((7,), Dense(1, "sigmoid"))
    built.compile("sgd", loss)
    with pytest.raises(
        InvalidData, match=r"y has the labels .* single output takes numbers from 0 to 1"
    ):
        run(built).fit(X, np.array(labels)[Y % 2], epochs=1)


def test_shares_between_two_classes_train_as_in_keras_and_are_neither(run):
    built = model((7,), Dense(1, "sigmoid"))
    built.compile("sgd", "binary_crossentropy", run_eagerly=True)
    shares = np.where(Y == 0, 0.5, Y - 1.0)
    ours = run(built).fit(X, shares, epochs=2, **FIT)
    theirs = built.fit(X, shares, epochs=2, verbose=0, **FIT)
    same(ours.history["loss"], theirs.history["loss"], 1e-6)
    said = ours.predict(X)
    assert ours.score(X, shares) == np.mean(said == shares)
    assert ours.score(X, np.full(23, 0.5)) == 0
    assert ours.score(X, said) == 1


@pytest.mark.parametrize("y", [np.ma.masked_equal(Y, 1), Y + 1j, np.ma.masked_less(X[:, :1], 0)])
def test_lossy_conversions_of_labels_are_refused(run, y):
    with pytest.raises(InvalidData, match=r"y has (complex numbers|numbers that are masked)"):
        run(model((7,), Dense(3, "softmax"))).fit(X, y, epochs=1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"keras_model": "lenet.keras"}, "keras_model is 'lenet.keras': give a Keras model"),
        ({"seed": None}, "seed is None: give a whole number"),
        ({"optimizer": "adam"}, "optimizer is 'adam': give a dict of arguments such as"),
        ({"weight_decay": "x"}, "weight_decay is 'x': give a number"),
        ({"lr_policy_parameters": [1]}, r"lr_policy_parameters is \[1\]: give a dict"),
        ({"weights": 3}, "weights is 3: give the path of a folder"),
        ({"labels": 3}, "labels is 3: give the path of a file"),
        ({"display": "x"}, "display is 'x': give a whole number"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(spark, arguments, match):
    with pytest.raises(InvalidData, match=match):
        Keras2DML(**{"spark": spark, "keras_model": model((3,), Dense(2)), **arguments})


def test_objects_other_than_sessions_are_refused(spark):
    for session in (None, model((3,), Dense(2))):
        with pytest.raises(InvalidSession, match="give a SparkSession"):
            Keras2DML(session, spark)


def test_rows_within_batches_may_be_mixed(spark):
    """Keras' shuffle="batch" mixes each batch within itself, which changes no step."""
    built = model((3,), Dense(2))
    built.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    X, y = np.random.default_rng(2).normal(size=(2, 12, 3))
    ours = Keras2DML(spark, built, display=0, batch_size=5)
    ours.fit(X, y[:, :2], epochs=2, shuffle="batch")
    built.fit(X, y[:, :2], epochs=2, shuffle="batch", batch_size=5, verbose=0)
    near(ours.to_keras().get_weights()[0], built.get_weights()[0], 1e-8)
    with pytest.raises(InvalidData, match="shuffle is 'rows': give True, False or 'batch'"):
        ours.fit(X, y[:, :2], epochs=1, shuffle="rows")
    for rows in (0, "a"):
        with pytest.raises(InvalidData, match="rows is"):
            ours.explain(rows)


def test_a_refusal_names_the_argument_and_its_remedy(run, tmp_path):
    ours, x, y = run(model((6,), Dense(3, "softmax"))), np.ones((8, 6)), np.arange(8) % 3
    for rows, labels, others, match in (
        (x[0], y, {}, r"^X has shape \(6,\).* a single example is X\[:1\], not X\[0\]\.$"),
        (x[:, :5], y, {}, r"^X has shape \(8, 5\).* Reshape your data\.$"),
        (x.astype(str), y, {}, r"^X is not an array of numbers \(it has strings\)"),
        (None, y, {}, "^X is None: give an array"),
        (x, None, {}, "^An array as X requires y to be passed, but the target y is None: pass y"),
        (x, y, {"validation_data": (x[:, 1:], y)}, r"^In validation_data: X has shape \(8, 5\)\."),
        (x, y, {"validation_data": (x, y[1:])}, r"^In validation_data: y has shape \(7,\)"),
        (x, y, {"validation_data": (x,)}, "^In validation_data: An array as X req"),
    ):
        with pytest.raises(InvalidData, match=match):
            ours.fit(rows, labels, epochs=1, **others)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidData, match=r"file is a file: give a folder that save\(\) wrote"):
        ours.load(tmp_path / "file")
