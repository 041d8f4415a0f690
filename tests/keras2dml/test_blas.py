"""OpenBLAS is used where it loads, and never needed."""

from __future__ import annotations

import platform

import keras
import pytest
from oracle import learns, model

from keras2dml import blas


@pytest.fixture(autouse=True)
def fresh():
    blas.found.cache_clear()
    yield
    blas.found.cache_clear()


def test_without_the_library_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(blas, "find_library", lambda name: None)
    assert blas.found().properties == {}
    assert "costs speed alone: apt-get install libopenblas0-pthread" in blas.found().detail


def test_a_library_that_does_not_load_is_not_used(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(blas, "find_library", lambda name: f"lib{name}.so.0")
    monkeypatch.setattr(blas, "_TRIED", "import os; os.abort()")
    assert blas.found().properties == {}
    assert "libopenblas.so.0 does not load" in blas.found().detail


def test_other_machines_do_without(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert blas.found().properties == {}
    assert "Linux on x86_64 only" in blas.found().detail


@pytest.mark.spark
@pytest.mark.systemds
def test_training_with_it_is_as_exact(spark):
    used = blas.found()
    learns(
        spark,
        model(
            (6, 5, 2),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ),
    )
    state = spark._jvm.org.apache.sysds.utils.NativeHelper.CURRENT_NATIVE_BLAS_STATE.toString()
    assert state.endswith("AND_IN_USE") == (used.folder is not None)
