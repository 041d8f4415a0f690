"""The compiled DML on the driver's SystemDS: the workers check, the driver scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

import keras2dml
from contract.bundle import DML, Bundle
from keras2dml.scorer import CompiledModel
from streaming.columns import blocks, sources
from streaming.engines import Tried
from streaming.frame import Features, Frame, Probabilities, Step
from streaming.score import failure
from streaming.steps import through
from streaming.tally import Tally, timed

_COLUMNS = "source string, features binary"


@dataclass(frozen=True, eq=False)
class Systemds:
    """Scores on the driver, where SystemDS plans each micro-batch as a whole."""

    compiled: keras2dml.Scorer
    model: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, spark: SparkSession, bundle: Bundle, model: str) -> Systemds:
        """The engine for a bundle's model, whose weights stay in the driver's JVM.

        Its script is made anew from the description of its layers: none is read from the bundle.
        """
        compiled = CompiledModel.of_files(
            {name: bundle.read(f"{DML}/{name}") for name in CompiledModel.FILES}
        )
        return cls(keras2dml.Scorer(spark, compiled), model, bundle.manifest.input_shape)

    def scorer(self, readings: DataFrame, checks: Mapping[str, Step], figures: Tally) -> Scored:
        """What the good readings of this micro-batch score, here and now; raises ModelFailed."""
        checked = through(checks, features, figures)
        rows: Any = readings.mapInArrow(checked, _COLUMNS).toPandas()
        images = np.frombuffer(b"".join(rows["features"]), np.float32)
        try:
            with timed(figures, "systemds"):
                probabilities = self.compiled.predict_proba(images.reshape(-1, *self.shape))
        except keras2dml.Keras2DMLError as exc:
            raise failure(self.model, f"raised {type(exc).__name__}: {exc}") from exc
        return Scored(pa.array(rows["source"]), probabilities.astype(np.float32))

    def tried(self, features: Features) -> Tried:
        """What SystemDS makes of these images; the first time of two compiles its plan."""
        self.compiled.predict_proba(features)
        began = perf_counter()
        probabilities = self.compiled.predict_proba(features)
        return Tried(probabilities.astype(np.float32), len(features) / (perf_counter() - began))

    def close(self) -> None:
        """Nothing to free: the weights go with the last reference."""


def features(frame: Frame) -> pa.RecordBatch:
    """The features of the good readings and where these lie in Kafka, for the driver."""
    columns = {
        "source": sources(frame.records.filter(frame.good)),
        "features": blocks(frame.features),
    }
    return pa.RecordBatch.from_pydict(columns)


@dataclass(frozen=True, eq=False)
class Scored:
    """What the driver scored of a micro-batch: probabilities (M, K) beside their sources (M)."""

    sources: pa.StringArray
    probabilities: Probabilities

    def ready(self) -> None:
        """Nothing to load: the driver scored already."""

    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of a frame's good readings; raises LookupError for any other."""
        places = pc.index_in(sources(frame.records.filter(frame.good)), self.sources)
        if places.null_count:
            message = f"{places.null_count} readings changed between their check and their score"
            raise LookupError(message)
        return np.asarray(self.probabilities[places.to_numpy()])
