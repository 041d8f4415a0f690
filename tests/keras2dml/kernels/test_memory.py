"""What kernels allocate is freed, and threads change no bit."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras2dml.systemds.context import _Shared

pytestmark = [pytest.mark.spark, pytest.mark.systemds]


def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    layers = keras.layers
    built = keras.Sequential(
        [
            layers.Input((12, 12, 2)),
            layers.Conv2D(9, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(40, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    built.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return built


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.random((50, 12, 12, 2)), np.eye(3)[rng.integers(0, 3, 50)]


def owned(spark) -> int:
    return int(spark._jvm.keras2dml.kernels.Kernels.owned())


def test_memory_is_freed(spark, run, rows):
    assert owned(spark) == 0
    for _ in range(3):
        ours = run(model()).fit(*rows, batch_size=16, epochs=2)
        ours.predict_proba(rows[0])
        ours.evaluate(*rows)
        ours._forget()
    assert owned(spark) == 0


@pytest.mark.long
def test_memory_is_freed_after_a_thousand_fits(spark, run, rows):
    ours = run(model())
    for _ in range(1000):
        ours.fit(*rows, batch_size=25, epochs=1)
    ours._forget()
    assert owned(spark) == 0


def test_threads_change_no_bit(run, rows, monkeypatch):
    results = []
    for threads in (1, 2, 3, 8):
        ours = run(model())
        monkeypatch.setattr(ours._systemds, "threads", threads)
        _Shared.programs.clear()
        ours.fit(*rows, batch_size=16, epochs=2, shuffle=False)
        results.append([*ours.to_keras().get_weights(), ours.predict_proba(rows[0])])
    for other in results[1:]:
        for array, first in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(array, first)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_row_has_the_same_score_in_any_batch(run, rows, precision):
    images = rows[0]
    ours = run(model(), precision=precision)
    together = ours.predict_proba(images)
    for begin, end in ((0, 1), (7, 8), (3, 10), (1, 50)):
        np.testing.assert_array_equal(ours.predict_proba(images[begin:end]), together[begin:end])
