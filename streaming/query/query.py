"""The scoring query: how each micro-batch is scored and answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from contract.notices import Notice
from contract.quantities import quantity
from contract.wire.topics import Topics
from streaming.engines import DriverEngine
from streaming.errors import ModelFailed
from streaming.models.assignment import routes
from streaming.models.loaded import Loaded, Tell
from streaming.models.roles import Roles
from streaming.models.routes import Answer, BatchScorer
from streaming.models.selections import Select, Selection
from streaming.models.service import Models, ModelService
from streaming.query.failures import ScoringStopped, scoring_failure
from streaming.query.pace import Pace, set_limit
from streaming.query.quarantine import Quarantine, empty_record, failing, spans
from streaming.query.reporter import Reporter
from streaming.spark import source
from streaming.spark.failures import last_cause
from streaming.spark.sink import Sink
from streaming.spark.stopping import Batches, Stopping
from streaming.spark.topic_ids import KnownTopics
from streaming.steps.checks import Checks
from streaming.steps.frame import Step
from streaming.steps.metrics import BatchMetrics, Metrics
from streaming.steps.pipeline import Pipeline
from streaming.steps.publish import COLUMNS, Publishing
from streaming.steps.scale import Scale
from streaming.steps.score import Scorer

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Answering:
    """How the records of a micro-batch become answers, whichever models score them."""

    topics: Topics
    topic_ids: KnownTopics
    roles: Roles
    metrics: Metrics
    clock: Clock

    def pipeline(self, records: DataFrame, models: Models) -> Pipeline:
        """What the workers do with the records, which come from `source.bounded`: one answer to
        each, a score or a dead letter, and the scores of the shadow.
        """
        manifest = models.champion.bundle.manifest
        checks = Checks(manifest.input_shape, self.topics, manifest.colour)

        def prepare(loaded: Loaded, selection: Selection, topics: Topics) -> BatchScorer:
            publishing = self.publishing(loaded, topics)
            return batch_scorer(loaded, records, checks, selection, publishing)

        answer = Answer(routes(models, self.roles, self.topics, prepare))
        return Pipeline(checks.steps, answer, self.metrics)

    def publishing(self, loaded: Loaded, topics: Topics) -> Publishing:
        """What all answers of a model have in common."""
        classes = loaded.bundle.manifest.classes
        return Publishing(topics, self.topic_ids, loaded.model, classes, self.clock, self.metrics)


def batch_scorer(
    loaded: Loaded,
    records: DataFrame,
    checks: Checks,
    selection: Selection,
    publishing: Publishing,
) -> BatchScorer:
    """Prepare a model for the selected readings of a micro-batch; raises ModelFailed."""
    manifest, engine = loaded.bundle.manifest, loaded.engine
    shape, scaling = manifest.input_shape, manifest.scaling
    if isinstance(engine, DriverEngine):
        steps: dict[str, Step] = {
            **checks.steps,
            "select": Select(selection),
            "scale": Scale(shape, scaling),
        }
        scorer: Scorer = engine.score(records, steps, publishing.metrics)
    else:
        scorer = engine
    return BatchScorer(loaded.title, shape, scaling, scorer, publishing, loaded.golden)


@dataclass(eq=False)
class Query:
    """Answers each micro-batch, and adds up the metrics.

    Spark commits a micro-batch after its answers are in Kafka: at least once, with the same ids
    each time. `answered` has the metrics of all micro-batches so far.
    """

    models: ModelService
    answering: Answering
    sink: Sink
    reporter: Reporter
    batches: Batches
    checkpoint: Path
    tell: Tell
    pace: Pace
    answered: BatchMetrics = field(default_factory=BatchMetrics)

    def start(self, records: DataFrame, name: str, every: float | None) -> StreamingQuery:
        """Start the query on these records, with a micro-batch `every` so many seconds; with None
        it ends after the records that exist now.
        """
        interval = {"processingTime": f"{round((every or 0) * 1000)} milliseconds"}
        trigger: dict[str, Any] = {"availableNow": True} if every is None else interval
        writer = records.writeStream.queryName(name).trigger(**trigger)
        running = (
            writer.option("checkpointLocation", str(self.checkpoint))
            .foreachBatch(self._batch)
            .start()
        )
        self.reporter.adjust_pace = partial(self._adjust_pace, records.sparkSession, running)
        return running

    def _adjust_pace(
        self, spark: SparkSession, running: StreamingQuery, rows: int, seconds: float
    ) -> None:
        """Make the next micro-batch as large as its time allows."""
        set_limit(spark, running, self.pace.after(rows, seconds))

    def _batch(self, records: DataFrame, batch: int) -> None:
        with self.batches.running(batch):
            champion, metrics = self._answer(records, batch)
            self.models.observe(metrics)
            silent_s = self.models.registry_silent_s
            self.reporter.note(batch, champion.model, metrics, silent_s)
            self.answered += replace(metrics, latest={})

    def _answer(self, records: DataFrame, batch: int) -> tuple[Loaded, BatchMetrics]:
        """Answer the records with the current models, without those that fail; returns the champion
        and the metrics.
        """
        while True:
            models = self.models.current()
            try:
                return models.champion, self._send(records, models)
            except Exception as exc:
                if self.batches.stop.is_set():  # stopping a service also stops its workers
                    raise Stopping from exc
                cause = scoring_failure(exc, self.sink.kafka)
                failure = failing(models) or cause if isinstance(cause, ScoringStopped) else cause
                if isinstance(failure, ModelFailed) and self.models.remove_failed(failure):
                    continue
                if not isinstance(failure, ScoringStopped):
                    raise failure from exc
                metrics = self._send_in_parts(records.sparkSession, models, batch, exc)
                return models.champion, metrics

    def _send(self, records: DataFrame, models: Models) -> BatchMetrics:
        """Publish the answers to the records; returns the metrics."""
        self.answering.metrics.value = BatchMetrics()
        self.sink.publish(self._answers(records, models))
        return self.answering.metrics.value

    def _answers(self, records: DataFrame, models: Models) -> DataFrame:
        return records.mapInArrow(self.answering.pipeline(records, models).run, COLUMNS)

    def _send_in_parts(
        self, spark: SparkSession, models: Models, batch: int, exc: Exception
    ) -> BatchMetrics:
        """Answer a micro-batch that cannot be answered as a whole in parts, until single records
        are to blame; raises `exc` if even an empty record cannot be answered.
        """
        champion, topics, total = models.champion, self.answering.topics, BatchMetrics()
        try:
            self._answers(empty_record(spark), models).collect()
        except Exception:
            raise exc from None
        sentence = (
            f"Micro-batch {batch} could not be answered as a whole ({last_cause(str(exc))}), so "
            f"it is answered in parts; this takes minutes if a reading ends a worker."
        )
        self.tell(Notice(sentence))

        def answer(spans: source.Spans) -> None:
            nonlocal total
            self.reporter.beat()
            readings = source.stored(spark, self.sink.kafka, spans)
            records = source.bounded(readings, champion.bundle.manifest.input_shape, topics)
            total += self._send(records, models)

        publishing = self.answering.publishing(champion, topics)
        refused = Quarantine(spark, self.sink, publishing).answer(spans(self.checkpoint), answer)
        letters = quantity(refused, "dead letter")
        sentence = (
            f"Micro-batch {batch} is answered, with {letters} for readings that cannot be read."
        )
        self.tell(Notice(sentence))
        return total + BatchMetrics(dead_letters=refused)
