"""ONNX Runtime in the executors: each Python worker loads a model once and keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession

from contract.bundle import Bundle
from streaming.frame import Frame, Probabilities, Step
from streaming.tally import Tally

# Images in one call: few enough that a convolution's output stays in the processor's cache.
_ROWS = 64


@dataclass(frozen=True)
class Onnx:
    """Scores where the readings are, in the workers; one thread for each core of an executor."""

    digest: str
    model: Broadcast[bytes] = field(compare=False)

    @classmethod
    def of(cls, spark: SparkSession, bundle: Bundle, model: str) -> Onnx:
        """The engine for a bundle's model, which goes to each executor once."""
        return cls(bundle.digest, spark.sparkContext.broadcast(bundle.onnx.read_bytes()))

    def scorer(self, readings: DataFrame, checks: Mapping[str, Step], figures: Tally) -> Onnx:
        """What scores a frame of a micro-batch: the engine itself."""
        return self

    def close(self) -> None:
        """Take the model off the executors; a worker forgets it when it has loaded two others."""
        self.model.unpersist()

    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of a frame's features (M, H, W, C)."""
        session, features = _session(self), frame.features
        blocks = [features[at : at + _ROWS] for at in range(0, len(features), _ROWS)]
        return np.concatenate([session.run(["probabilities"], {"X": block})[0] for block in blocks])


@lru_cache(maxsize=2)
def _session(engine: Onnx) -> Any:
    """The model of an engine, loaded in this worker."""
    from onnxruntime import InferenceSession, SessionOptions  # noqa: PLC0415  (workers only)

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(engine.model.value, options, providers=["CPUExecutionProvider"])
