"""Engines in the workers: each with its own model, on all cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import psutil
import pytest
from pyspark.sql import SparkSession

from streaming.engines import in_workers, onnx, openvino
from streaming.engines.deadline import TookTooLong
from streaming.engines.in_workers import InWorkers
from tests.streaming.onnx_models import endless, linear
from tests.streaming.records import SHAPE

FEATURES = np.random.default_rng(5).random((100, *SHAPE), np.float32)


@pytest.mark.spark
@pytest.mark.parametrize("load", [onnx.load, openvino.load])
def test_two_models_of_one_program_are_not_mistaken(spark: SparkSession, load: object) -> None:
    engines = {seed: InWorkers.of(spark, load, linear(seed)) for seed in (1, 2)}
    for seed in (1, 2, 1):
        wanted = onnx.load(linear(seed))(FEATURES)
        found = engines[seed].run_trial(FEATURES).probabilities
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.spark
def test_a_model_that_does_not_end_is_cancelled(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_workers, "TRIAL_SECONDS", 2.0)
    engine = InWorkers.of(spark, endless, linear())
    with pytest.raises(TookTooLong, match=r"^100 images took longer than 2 s$"):
        engine.run_trial(FEATURES)
    monkeypatch.undo()
    assert InWorkers.of(spark, onnx.load, linear()).run_trial(FEATURES).images_per_s > 0


def test_openvino_is_not_pinned_to_a_core() -> None:
    predict, stop = openvino.load(linear()), threading.Event()

    def work() -> None:
        while not stop.is_set():
            predict(FEATURES)

    working = threading.Thread(target=work)
    working.start()
    try:
        cores = {frozenset(allowed) for _ in range(500) for allowed in _allowed()}
    finally:
        stop.set()
        working.join()
    assert cores == {frozenset(os.sched_getaffinity(os.getppid()))}


def _allowed() -> Iterator[set[int]]:
    """The cores that each thread of this process may use."""
    for thread in psutil.Process().threads():
        with suppress(ProcessLookupError):
            yield os.sched_getaffinity(thread.id)
