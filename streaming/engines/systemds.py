"""The compiled DML on the driver's SystemDS: workers check the readings, the driver scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

import keras2dml
from contract.model.bundle import DML, Bundle
from contract.quantities import quantity
from contract.wire.reasons import BadReading
from keras2dml.estimators.scorer import CompiledModel
from streaming.engines import DriverEngine, Trial
from streaming.errors import ModelFailed
from streaming.steps.bisection import bisected
from streaming.steps.columns import blocks, sources
from streaming.steps.frame import Features, Frame, Probabilities, Step
from streaming.steps.metrics import Metrics, timed
from streaming.steps.pipeline import Pipeline
from streaming.steps.score import checked, fact_of

_COLUMNS = "source string, features binary"


@dataclass(frozen=True, eq=False)
class Systemds(DriverEngine):
    """Scores on the driver, where SystemDS plans for a whole micro-batch."""

    compiled: keras2dml.Scorer
    model: str
    golden: Features
    """(1, H, W, C)"""
    classes: int

    @classmethod
    def of(cls, spark: SparkSession, bundle: Bundle, model: str) -> Systemds:
        """The engine for a bundle's model, whose weights stay in the driver's JVM.

        The script is generated from the description of the layers; the bundle's own is never read.
        """
        golden = bundle.manifest.scaling.apply(bundle.golden.inputs[:1])
        compiled = CompiledModel.of_files(
            {name: bundle.read(f"{DML}/{name}") for name in CompiledModel.FILES}
        )
        scorer = keras2dml.Scorer(spark, compiled)
        return cls(scorer, model, golden, len(bundle.manifest.classes))

    def score(self, records: DataFrame, steps: Mapping[str, Step], metrics: Metrics) -> Scored:
        """Score the good readings of a micro-batch at once; raises ModelFailed."""
        pipeline = Pipeline(steps, CollectFeatures(), metrics)
        rows: Any = records.mapInArrow(pipeline.run, _COLUMNS).toPandas()
        values = np.frombuffer(b"".join(rows["features"]), np.float32)
        images, places = values.reshape(-1, *self.golden.shape[1:]), pa.array(rows["source"])
        with timed(metrics, "systemds"):
            return self.scores(images, places)

    def scores(self, images: Features, places: pa.StringArray) -> Scored:
        """The scores of images (M, H, W, C) from these places (M); raises ModelFailed."""
        try:
            return Scored(places, self._predicted(images), self.model)
        except ModelFailed:
            return self._sifted(images, places)

    def _predicted(self, images: Features) -> Probabilities:
        shape = (len(images), self.classes)
        if not len(images):
            return np.empty(shape, np.float32)
        return checked(lambda: self.compiled.predict_proba(images), self.model, shape)

    def _sifted(self, images: Features, places: pa.StringArray) -> Scored:
        """The scores of single images, and the errors of those that SystemDS cannot score."""
        golden = self._predicted(self.golden)
        rows, faults = bisected(
            len(images), lambda span: self._predicted(images[span.begin : span.end])
        )
        able = np.ones(len(images), bool)
        able[list(faults)] = False
        facts = {places[number].as_py(): fact_of(fault) for number, fault in faults.items()}
        probabilities = np.concatenate([np.empty((0, self.classes), np.float32), *rows])
        return Scored(places.filter(pa.array(able)), probabilities, self.model, golden, facts)

    def run_trial(self, features: Features) -> Trial:
        """Score these images twice: the first run compiles the plan, the second is timed."""
        self.compiled.predict_proba(features)
        began = perf_counter()
        probabilities = self.compiled.predict_proba(features)
        return Trial(probabilities.astype(np.float32), len(features) / (perf_counter() - began))

    def close(self) -> None:
        """Nothing to release: the weights are freed with the last reference."""


@dataclass(frozen=True)
class CollectFeatures:
    """The last step before the driver scores: the features of the good readings."""

    def __call__(self, frame: Frame) -> pa.RecordBatch:
        """The features, with the place of each reading in Kafka."""
        columns = {
            "source": sources(frame.records.filter(frame.good)),
            "features": blocks(frame.features),
        }
        return pa.RecordBatch.from_pydict(columns)

    def refuse(self, record: pa.RecordBatch, fault: BadReading) -> None:
        """Do nothing: the step that answers the record refuses it."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The driver's scores of a micro-batch: probabilities (M, K) and their sources (M).

    Where SystemDS could not score some readings, `facts` has its error for each of their sources,
    and `golden` has the probabilities (1, K) of a golden image that was scored alone.
    """

    sources: pa.StringArray
    probabilities: Probabilities
    model: str
    golden: Probabilities | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def ready(self) -> None:
        """Nothing to load: the driver has scored already."""

    def __call__(self, frame: Frame) -> Probabilities:
        """Probabilities (M, K) of a frame's good readings; raises LookupError for a reading that
        the driver did not see, and ModelFailed for one that SystemDS could not score.
        """
        places_of = sources(frame.records.filter(frame.good))
        for place in places_of.to_pylist() if self.facts else ():
            if place in self.facts:
                raise ModelFailed(self.model, self.facts[place])
        places = pc.index_in(places_of, self.sources)
        if places.null_count:
            message = f"{quantity(places.null_count, 'reading')} changed between check and score"
            raise LookupError(message)
        return np.asarray(self.probabilities[places.to_numpy()])

    def sample(self, features: Features) -> Probabilities:
        """Probabilities of the golden image; raises LookupError if the driver did not score it."""
        if self.golden is None:
            message = "SystemDS scored all readings, so no golden image"
            raise LookupError(message)
        return self.golden
