"""Workers with rows of their own: in step each is Keras' step on all their rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import Add, BatchNormalization, Conv1D, Dense, Dropout, Flatten
from oracle import WEIGHTS, examples, fresh, model, near, seeded

from keras2dml import InvalidData, InvalidSession, Keras2DML

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

ROWS, BATCH, WORKERS = 23, 5, 2


def parts(server: object, **settings: object) -> Keras2DML:
    algorithm = {"train_algo": "paramserv", "parallel_batches": WORKERS, **settings}
    return server.set(**algorithm)


def rows_of_steps(batch_size: int) -> list[np.ndarray]:
    """The rows of each step of an epoch: the next of every worker's share."""
    shares = np.array_split(np.arange(ROWS), [-(-ROWS // WORKERS)])
    batches = [np.split(share, range(batch_size, len(share), batch_size)) for share in shares]
    return [np.concatenate(step) for step in zip(*batches, strict=True)]


def several() -> keras.Model:
    """Two inputs, two outputs, a constant, weights that stay, and one that is regularized."""
    x, y = keras.Input((6, 2), name="left"), keras.Input((4,), name="right")
    left = Dense(4, "tanh", kernel_regularizer="l2")(Flatten()(Conv1D(3, 2, dilation_rate=2)(x)))
    both = Add()([left, Dense(4, trainable=False)(y)])
    ends = Dense(3, "softmax", name="kind")(both), Dense(2, name="size")(both)
    return seeded(keras.Model([x, y], ends))


@pytest.mark.parametrize(
    ("mode", "batch_size", "accumulated"),
    [
        ("LOCAL", BATCH, None),
        ("LOCAL", BATCH - 1, None),  # one program serves both
        ("LOCAL", BATCH, 2),
        ("REMOTE_SPARK", BATCH, None),
        pytest.param("REMOTE_SPARK", BATCH, 2, marks=pytest.mark.long),
    ],
)
def test_step_in_step_is_that_of_keras(spark, mode, batch_size, accumulated):
    built = several()
    optimizer = keras.optimizers.Adam(0.02, gradient_accumulation_steps=accumulated)
    losses = ["sparse_categorical_crossentropy", "mse"]
    built.compile(optimizer=optimizer, loss=losses, run_eagerly=accumulated is None)
    features = examples(built, ROWS)
    generator = np.random.default_rng(1)
    targets = [np.arange(ROWS) % 3, generator.normal(size=(ROWS, 2))]
    server = Keras2DML(spark, built, batch_size=batch_size, display=0)
    ours = parts(server, paramserv_parameters={"mode": mode})
    ours.fit(features, targets, epochs=2, shuffle=False)
    for step, rows in zip(ours.iterations, rows_of_steps(batch_size) * 2, strict=True):
        measured = built.train_on_batch(
            [one[rows] for one in features], [one[rows] for one in targets], return_dict=True
        )
        assert step.rows == len(rows)
        near(np.array(step.loss), np.asarray(measured["loss"]), WEIGHTS["float64"])
        built.reset_metrics()
    for found, trained in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(found, trained, WEIGHTS["float64"])


@pytest.mark.parametrize("mode", ["LOCAL", "REMOTE_SPARK"])
def test_workers_on_their_own_learn(spark, mode):
    built = model((4,), Dense(8, "relu"), Dropout(0.1), Dense(2, "softmax"))
    built.compile(optimizer=keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy")
    features = np.random.default_rng(2).normal(size=(200, 4))
    labels = (features[:, 0] > features[:, 1]).astype(int)
    ours = parts(
        Keras2DML(spark, built, batch_size=7, display=0),
        paramserv_parameters={"mode": mode, "utype": "ASP"},
    )
    ours.fit(features, labels, epochs=6)
    assert len(ours.iterations) == 6 * (15 + 15)  # each has 100 rows
    assert ours.history["loss"][-1] < 0.7 * ours.history["loss"][0]
    assert ours.score(features, labels) > 0.85


def test_workers_drop_different_numbers(spark):
    """The same example for all: with the same numbers they would have the same gradient."""
    built = model((40,), Dropout(0.5), Dense(1))
    built.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    features, labels = np.ones((4, 40)), np.ones((4, 1))
    losses = []
    for workers in (1, 2):
        ours = parts(Keras2DML(spark, built, batch_size=2, display=0), parallel_batches=workers)
        ours.fit(features, labels, epochs=1, shuffle=False)
        losses.append([step.loss for step in ours.iterations])
    first, second = losses[0]
    assert first != second
    assert losses[1] != [first]


def test_a_killed_run_resumes_at_its_epoch(spark, tmp_path):
    built = several()
    built.compile(
        optimizer=keras.optimizers.Adam(0.02), loss=["sparse_categorical_crossentropy", "mse"]
    )
    features, targets = examples(built, ROWS), [np.arange(ROWS) % 3, np.ones((ROWS, 2))]

    def killed(_: object) -> None:
        killed.epochs += 1
        if killed.epochs == 2:
            raise KeyboardInterrupt

    killed.epochs = 0
    trained = []
    for report in (None, killed, None):
        ours = parts(Keras2DML(spark, built, batch_size=BATCH, display=0))
        kept = tmp_path / "kept" if trained else None
        try:
            ours.fit(features, targets, epochs=3, checkpoint=kept, report=report)
        except KeyboardInterrupt:
            continue
        trained.append(ours.to_keras().get_weights())
    for first, second in zip(*trained, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("layers", "loss", "rows", "match"),
    [
        ((BatchNormalization(name="norm"),), "mse", 20, "'norm' uses statistics"),
        (
            (),
            keras.losses.MeanSquaredError("sum", dtype="float64"),
            20,
            "loss 'mean_squared_error' of a batch",
        ),
        ((), "mse", 11, r"11 rows in batches of 5 are \[2, 1\] batches for 2 workers"),
    ],
)
def test_what_cannot_be_split_is_refused(spark, layers, loss, rows, match):
    built = model((4,), *map(fresh, layers), Dense(2))
    built.compile(loss=loss)
    ours = parts(Keras2DML(spark, built, batch_size=BATCH, display=0))
    with pytest.raises(InvalidData, match=match):
        ours.fit(np.ones((rows, 4)), np.ones((rows, 2)), epochs=1)


def test_more_workers_than_cores_are_refused(spark):
    built = model((4,), Dense(2))
    built.compile(loss="mse")
    ours = parts(
        Keras2DML(spark, built, batch_size=1, display=0),
        parallel_batches=50,
        paramserv_parameters={"mode": "REMOTE_SPARK"},
    )
    with pytest.raises(InvalidSession, match="50 workers need as many cores of Spark"):
        ours.fit(np.ones((50, 4)), np.ones((50, 2)), epochs=1)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"mode": "FEDERATED"}, "mode is 'FEDERATED': give one of LOCAL, REMOTE_SPARK"),
        ({"utype": "SSP"}, "utype is 'SSP': give one of BSP, ASP"),
        ({"k": "3"}, r"paramserv_parameters has \['k'\]"),
    ],
)
def test_server_is_refused(spark, given, match):
    with pytest.raises(InvalidData, match=match):
        parts(Keras2DML(spark, model((4,), Dense(2, "softmax"))), paramserv_parameters=given)
