"""Engines that run in the executors, where the readings are: a Python worker loads a model once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter

import numpy as np
from pyspark import Broadcast
from pyspark.sql import SparkSession

from contract.quantities import quantity
from streaming.engines import Trial, WorkerEngine
from streaming.engines.deadline import deadline
from streaming.engines.self_contained import check_self_contained
from streaming.steps.frame import Features, Frame, Probabilities

Predict = Callable[[Features], Probabilities]
"""A loaded model: features (N, H, W, C) -> probabilities (N, K), N at least 1."""

Load = Callable[[bytes], Predict]
"""Loads the bytes of an ONNX file, for one thread; a function of a module, which workers import."""

# Images per call: few enough that a convolution's output stays in the processor's cache.
_ROWS = 64

# Images before an engine is timed, and timed runs: the best one was disturbed the least.
_WARM_UP, _TRIALS = 2 * _ROWS, 3

TRIAL_SECONDS = 600.0
"""Time limit for a model's trial, first in one worker, then in all workers at once: enough for a
busy machine to start workers and load a model. An untested model may never end.
"""


@dataclass(frozen=True)
class InWorkers(WorkerEngine):
    """Scores in the workers; one thread for each core of an executor."""

    load: Load
    digest: str
    """SHA-256 of the model's bytes, as a bundle has several models."""
    model: Broadcast[bytes] = field(compare=False)
    spark: SparkSession | None = field(compare=False)
    """The driver's session; None in a worker."""

    @classmethod
    def of(cls, spark: SparkSession, load: Load, model: bytes) -> InWorkers:
        """The engine for a model, the bytes of an ONNX file; each executor is sent them once.

        Raises ValueError if they are not an ONNX model, and ReachesOutside if the model needs
        anything else.
        """
        check_self_contained(model)
        digest = hashlib.sha256(model).hexdigest()
        return cls(load, digest, spark.sparkContext.broadcast(model), spark)

    def run_trial(self, features: Features) -> Trial:
        """Score these images in all workers at once.

        Raises TookTooLong for a model that takes longer than TRIAL_SECONDS in a single worker, or,
        if it ends there, in all workers.
        """
        if self.spark is None:
            message = "an engine is tried by the driver"
            raise RuntimeError(message)
        context = self.spark.sparkContext
        cores, images = context.defaultParallelism, context.broadcast(features)

        def trial(number: int) -> tuple[Probabilities | None, float]:
            predict(self, images.value[:_WARM_UP])
            seconds = []
            for _ in range(_TRIALS):
                began = perf_counter()
                probabilities = predict(self, images.value)
                seconds.append(perf_counter() - began)
            return (None if number else probabilities), min(seconds)

        def attempt(number: int) -> int:
            return len(predict(self, images.value))

        try:
            with deadline(context, TRIAL_SECONDS, quantity(len(features), "image")):
                context.parallelize([0], 1).map(attempt).collect()
            with deadline(
                context, TRIAL_SECONDS, f"{quantity(len(features), 'image')} in each worker"
            ):
                trials = context.parallelize(range(cores), cores).map(trial).collect()
        finally:
            images.unpersist()
        probabilities = next(result for result, _ in trials if result is not None)
        slowest = max(seconds for _, seconds in trials)
        return Trial(probabilities, cores * len(features) / slowest)

    def close(self) -> None:
        """Remove the model from the executors; a worker drops it after loading a few others."""
        self.model.unpersist()

    def ready(self) -> None:
        """Load the model in this worker."""
        _loaded(self)

    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of a frame's features (M, H, W, C)."""
        return predict(self, frame.features)

    def sample(self, features: Features) -> Probabilities:
        """Probabilities (1, K) of one image (1, H, W, C)."""
        return predict(self, features)

    def __getstate__(self) -> dict[str, object]:
        """The state that is sent to the workers."""
        return {**vars(self), "spark": None}


def predict(engine: InWorkers, features: Features) -> Probabilities:
    """Probabilities (M, K) of images (M, H, W, C), block by block."""
    loaded = _loaded(engine)
    blocks = [features[at : at + _ROWS] for at in range(0, len(features), _ROWS)]
    return np.concatenate([loaded(block) for block in blocks])


# A champion, a challenger, and the successor of each.
@lru_cache(maxsize=4)
def _loaded(engine: InWorkers) -> Predict:
    """The model of an engine, loaded in this worker."""
    return engine.load(engine.model.value)
