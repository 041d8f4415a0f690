"""Every train_algo makes Keras' step on the same rows, and every test_algo the same scores."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten
from oracle import WEIGHTS, examples, model, near

from keras2dml import InvalidData, InvalidSession, Keras2DML
from keras2dml.export.weights import stem
from keras2dml.systemds.options import Options

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

ROWS, BATCH, PARTS = 31, 6, 3
# The rows of one step, the last of an epoch smaller.
TOGETHER = {
    "minibatch": BATCH,
    "batch": ROWS,
    "looped_minibatch": BATCH * PARTS,
    "allreduce": BATCH,
    "allreduce_parallel_batches": BATCH * PARTS,
}


def image_model() -> keras.Model:
    return model(
        (5, 4, 2),
        Conv2D(3, 2, activation="tanh", kernel_regularizer="l2", activity_regularizer="l2"),
        Flatten(),
        Dense(3, "softmax"),
    )


def compiled(built: keras.Model, loss: object = "sparse_categorical_crossentropy") -> keras.Model:
    built.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], run_eagerly=True)
    return built


@pytest.mark.parametrize("algorithm", TOGETHER)
def test_steps_are_of_the_batch_size_that_was_asked_for_last(spark, algorithm):
    built = compiled(image_model())
    features, labels = examples(built, ROWS), np.arange(ROWS) % 3
    for parts, batch_size in ((PARTS, BATCH), (PARTS, BATCH - 2), (PARTS - 1, BATCH)):
        ours = Keras2DML(spark, built, batch_size=batch_size, display=0)
        ours.set(train_algo=algorithm, parallel_batches=parts)
        ours.fit(features, labels, epochs=1, shuffle=False)
        rows = {"batch": ROWS, "looped_minibatch": parts * batch_size}
        rows["allreduce_parallel_batches"] = rows["looped_minibatch"]
        assert ours.iterations[0].rows == rows.get(algorithm, batch_size)


@pytest.mark.parametrize(
    ("algorithm", "place"),
    [
        *((algorithm, "DRIVER") for algorithm in TOGETHER),
        *(pytest.param(algorithm, "SPARK", marks=pytest.mark.long) for algorithm in TOGETHER),
    ],
)
def test_step_is_that_of_keras_on_all_its_rows(spark, algorithm, place):
    built = compiled(image_model())
    features, labels = examples(built, ROWS), np.arange(ROWS) % 3
    weights = np.linspace(0.2, 2, ROWS)
    together = TOGETHER[algorithm]
    steps = [slice(begin, begin + together) for begin in range(0, ROWS, together)]
    ours = Keras2DML(spark, built, batch_size=BATCH, display=0)
    ours.set(train_algo=algorithm, parallel_batches=PARTS).setExecutionType(place)
    ours.fit(features, labels, epochs=2, shuffle=False, sample_weight=weights)
    for step, rows in zip(ours.iterations, steps * 2, strict=True):
        built.reset_metrics()
        measured = built.train_on_batch(
            features[rows], labels[rows], weights[rows], return_dict=True
        )
        assert step.rows == rows.indices(ROWS)[1] - rows.start
        for name, value in measured.items():
            near(np.array(step.measures[name]), np.asarray(value), 1e-6)
    for found, trained in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, trained, WEIGHTS["float64"])


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_parts_have_their_share_of_a_sum(spark, reduction):
    loss = keras.losses.CategoricalCrossentropy(reduction=reduction)
    built = compiled(model((4,), Dense(3, "softmax")), loss)
    features, labels = examples(built, 8), np.eye(3)[np.arange(8) % 3]
    ours = Keras2DML(spark, built, batch_size=4, display=0)
    ours.set(train_algo="looped_minibatch", parallel_batches=2)
    if reduction == "mean_with_sample_weight":
        with pytest.raises(InvalidData, match="loss 'categorical_crossentropy' of a batch is not"):
            ours.fit(features, labels, epochs=1)
        return
    ours.fit(features, labels, epochs=1, shuffle=False)
    built.train_on_batch(features, labels)
    near(ours.to_keras().get_weights()[0], built.get_weights()[0], WEIGHTS["float64"])


def test_parts_drop_other_numbers(spark):
    built = compiled(model((4,), Dropout(0.5, seed=1), Dense(3, "softmax")))
    features, labels = np.ones((8, 4)), np.zeros(8, int)
    trained = []
    for parts in (1, 2, 2):
        ours = Keras2DML(spark, built, batch_size=8, max_iter=2, display=0)
        ours.set(train_algo="allreduce", parallel_batches=parts)
        trained.append(ours.fit(features, labels).to_keras().get_weights()[0])
    assert not np.allclose(trained[0], trained[1])
    np.testing.assert_array_equal(trained[1], trained[2])


def test_statistics_of_a_batch_are_not_taken_in_parallel(spark):
    built = compiled(model((4,), BatchNormalization(name="norm"), Dense(3, "softmax")))
    ours = Keras2DML(spark, built, display=0).set(train_algo="allreduce", parallel_batches=2)
    with pytest.raises(InvalidData, match=r"'allreduce' splits.*'norm' uses statistics.*'minib"):
        ours.fit(np.ones((8, 4)), np.zeros(8, int))


@pytest.mark.parametrize("algorithm", ["batch", "allreduce", "allreduce_parallel_batches"])
def test_scores_are_the_same_however_they_are_made(spark, algorithm):
    built = model((3, 4, 2), Flatten(), Dense(3, "softmax"))
    features = examples(built, 700)
    ours = Keras2DML(spark, built).set(test_algo=algorithm, parfor_parameters={"par": 2})
    near(ours.predict_proba(features), np.asarray(built(features)), 1e-9)
    assert "par=2" in ours.get_prediction_script() or algorithm == "batch"


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"train_algo": "sgd"}, "train_algo is 'sgd': give one of minibatch, batch,"),
        ({"test_algo": "looped_minibatch"}, "test_algo is 'looped_minibatch': give one of"),
        ({"parallel_batches": 0}, "parallel_batches is 0"),
    ],
)
def test_setting_is_refused(spark, setting, match):
    with pytest.raises(InvalidData, match=match):
        Keras2DML(spark, model((4,), Dense(3, "softmax"))).set(**setting)


def test_plan_tells_where_operators_run(spark):
    """A matrix product that the driver's memory holds is planned there, a larger one on Spark."""
    ours = Keras2DML(spark, model((2000,), Dense(3, "softmax")))
    assert "SPARK " not in ours.explain(rows=1000)
    assert "SPARK " in ours.explain(rows=50_000_000)
    assert "SPARK " in ours.explain(rows=50_000_000, training=True)
    assert "SPARK " in ours.setExecutionType("SPARK").explain(rows=1000)


def test_activations_of_every_layer_are_written(spark, tmp_path):
    x = keras.Input((4, 3))
    shared = Dense(3, "tanh", name="shared")
    flat = Flatten(name="flat")(shared(shared(x)))
    flat = Activation("tanh", name="shared_2")(flat)  # as the second call would be
    centered = flat - keras.ops.expand_dims(keras.ops.mean(flat, axis=-1), -1)
    long = "n" * 300  # longer than file systems take
    built = keras.Model(x, Dense(2, "softmax", name=long)(centered))
    features = examples(built, 5)
    Keras2DML(spark, built).set(output_activations=tmp_path).predict(features)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.csv"
        for name in ("shared", "shared_2", "shared_3", "flat", "mean", "expand_dims", "subtract")
    } | {f"{stem(long)}.csv"}
    twice = np.asarray(shared(shared(features))).reshape(5, -1)
    outputs = {"shared_3": twice, "flat": twice, "shared_2": np.tanh(twice)}
    outputs["mean"] = outputs["shared_2"].mean(axis=-1)
    for name, output in outputs.items():
        near(np.loadtxt(tmp_path / f"{name}.csv", delimiter=","), output, 1e-9)


def test_scripts_plans_and_statistics_are_printed(spark, capfd):
    ours = Keras2DML(spark, model((4,), Dense(3, "softmax"))).set(debug=True)
    ours.setExplain(True).setExplainLevel("hops").setStatistics(True)
    ours.setStatisticsMaxHeavyHitters(3).setConfigProperty("sysds.native.blas", "none")
    ours.predict(np.ones((2, 4)))
    printed = capfd.readouterr().out
    for part in ("softmax_forward = function", "# EXPLAIN (HOPS)", "Heavy hitter instructions"):
        assert part in printed


@pytest.mark.parametrize("asked", ["setGPU", "setForceGPU"])
def test_gpu_is_refused_where_there_is_none(spark, asked):
    ours = Keras2DML(spark, model((4,), Dense(3, "softmax")))
    with pytest.raises(InvalidSession, match=r"jcuda.*It needs an NVIDIA GPU.*do without the GPU"):
        getattr(ours, asked)(True)
    assert ours.predict_proba(np.ones((2, 4))).shape == (2, 3)


@pytest.mark.parametrize("options", [Options(gpu=True), Options(gpu=True, force_gpu=True)])
def test_nothing_is_trained_on_a_gpu(spark, options):
    ours = Keras2DML(spark, model((4,), Dense(3, "softmax")))
    ours._systemds.options = options
    with pytest.raises(InvalidSession, match=r"other weights than Keras.*setGPU\(False\)"):
        ours.fit(np.ones((2, 4)), np.array([0, 1]))
