"""Keras computes in float64, so that a difference is a mistake; its names start over with each
test.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from keras2dml import Keras2DML

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _quick_keras() -> Iterator[None]:
    """Keras asks XLA only where a test does, with `jit_compile=True`: it takes seconds to compile a
    step that computes the same.
    """
    import keras

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "_resolve_auto_jit_compile", lambda _: False)
        yield


@pytest.fixture(autouse=True)
def _exact_keras() -> Iterator[None]:
    import keras

    keras.utils.clear_session(free_memory=False)
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.fixture(autouse=True)
def _all_in_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a kernel for each operator of each program that a test compiles."""
    from keras2dml.kernels import installed

    install = installed.install

    def checked(*arguments: object, **how: object) -> installed.Installed:
        kernels = install(*arguments, **how)
        assert not [reason for reason in kernels.missing if "no kernel for" in reason]
        return kernels

    monkeypatch.setattr(installed, "install", checked)


@pytest.fixture
def run(spark: SparkSession) -> Callable[..., Keras2DML]:
    """Keras2DML for a model, quiet."""
    from keras2dml import Keras2DML

    return lambda built, **arguments: Keras2DML(spark, built, display=0, **arguments)
