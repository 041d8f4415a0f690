"""OpenBLAS is used where it loads, for models of float32, and never needed."""

from __future__ import annotations

import platform

import keras
import pytest
from keras.layers import Conv2D, Dense, Flatten
from oracle import learns, model

from keras2dml.systemds import blas


@pytest.fixture
def fresh():
    blas.detect.cache_clear()
    yield
    blas.detect.cache_clear()


@pytest.fixture
def linux(monkeypatch, fresh):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("linux")
def test_without_the_library_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setattr(blas, "find_library", lambda name: None)
    assert blas.detect().folder is None
    assert "only costs speed: apt-get install libopenblas0-pthread" in blas.detect().detail


@pytest.mark.usefixtures("linux")
@pytest.mark.parametrize(
    ("tried", "told"),
    [
        ("import os; os.abort()", "its trial ended with -6"),
        ("import sys; sys.exit('its product is wrong')", "its product is wrong"),
    ],
    ids=["crash", "result"],
)
def test_a_library_that_fails_its_trial_is_not_used(monkeypatch, tried, told):
    monkeypatch.setattr(blas, "find_library", lambda name: f"lib{name}.so.0")
    monkeypatch.setattr(blas, "_TRIED", tried)
    assert blas.detect().folder is None
    assert f"libopenblas.so.0 is unusable ({told})" in blas.detect().detail


@pytest.mark.usefixtures("fresh")
def test_other_machines_use_no_openblas(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert blas.detect().folder is None
    assert "only for Linux on x86_64" in blas.detect().detail


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dX = dout %*% t(W)\ndW = t(X) %*% dout", True),
        ("C = unit %*% t(unit)", False),
        ("S = Q %*% t(K)\ndK = t(dS) %*% Q", False),
        ("A = t(X)\nB = X %*% A", False),
        ("out = data %*% t(X)", False),
        ("A = t(dout) %*% dout", False),
        ("out = X %*% W + b", True),
    ],
)
def test_a_script_suits_it_that_squares_no_matrix(line, wanted):
    assert blas.is_suited(line) == wanted


def in_use(spark) -> bool:
    helper = spark._jvm.org.apache.sysds.utils.NativeHelper
    return str(helper.CURRENT_NATIVE_BLAS_STATE).endswith("BLAS_AND_IN_USE")


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    ("dtype", "regularizer"),
    [("float32", None), ("float64", None), ("float32", "orthogonal_regularizer")],
)
def test_training_is_as_exact_with_it(spark, dtype, regularizer):
    """A product of a matrix with itself, which is wrong behind OpenBLAS, keeps it out."""
    keras.config.set_floatx(dtype)
    dense = Dense(3, activation="softmax", kernel_regularizer=regularizer)
    built = model((6, 5, 2), Conv2D(4, 3, activation="relu"), Flatten(), dense)
    learns(spark, built)
    wanted = dtype == "float32" and regularizer is None and blas.detect().folder is not None
    assert in_use(spark) == wanted
