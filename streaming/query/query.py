"""The scoring query: each micro-batch through the steps, by one model, to its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from contract.choices import Colour
from contract.kafka.connection import Kafka
from contract.notices import Notice
from contract.quantities import quantity
from contract.wire.images import Shape
from contract.wire.topics import Topics
from streaming.models.answering import Judge, Rows, answered, some
from streaming.models.assignment import cast
from streaming.models.champion import Champions, LineUp, Roles
from streaming.models.loaded import Loaded, Tell
from streaming.query.failures import ScoringStopped, scoring_failure
from streaming.query.pace import Pace, limited
from streaming.query.quarantine import Quarantine, failing, nothing, spans
from streaming.query.reporter import Reporter
from streaming.spark import source
from streaming.spark.failures import last_cause
from streaming.spark.sink import written
from streaming.spark.stopping import Batches, Stopping
from streaming.spark.topic_ids import KnownTopics
from streaming.steps.decode import decoded
from streaming.steps.frame import Step
from streaming.steps.metrics import DEAD_LETTERS, SCORED, Tally, added
from streaming.steps.pipeline import through
from streaming.steps.publish import COLUMNS, Publishing, refused
from streaming.steps.scale import scaled
from streaming.steps.validate import validated

Clock = Callable[[], datetime]


def answers(
    records: DataFrame,
    line_up: LineUp,
    roles: Roles,
    topics: Topics,
    known: KnownTopics,
    figures: Tally,
    clock: Clock,
) -> DataFrame:
    """The one answer to each record of a micro-batch, a score or a dead letter, for the sink; and
    the shadow's scores. `records` are as `source.bounded` gives them.
    """
    manifest = line_up.champion.bundle.manifest
    checks = checking(manifest.input_shape, topics, manifest.colour)

    def judging(loaded: Loaded, rows: Rows, to: Topics) -> Judge:
        classes = loaded.bundle.manifest.classes
        publishing = Publishing(to, known, loaded.model, classes, clock, figures)
        return at_work(loaded, records, checks, rows, publishing)

    parts = cast(line_up, roles, topics, judging)
    finish = partial(answered, parts=parts, figures=figures)
    refuse = partial(refused, publishing=parts[0].judge.publishing)
    return records.mapInArrow(through(checks, finish, figures, refuse), COLUMNS)


def checking(shape: Shape, topics: Topics, colour: Colour = "refuse") -> dict[str, Step]:
    """The steps that find out which records hold an image of this shape."""
    return {
        "decode": partial(decoded, shape=shape, topics=topics, colour=colour),
        "validate": partial(validated, shape=shape),
    }


def at_work(
    loaded: Loaded,
    records: DataFrame,
    checks: Mapping[str, Step],
    rows: Rows,
    publishing: Publishing,
) -> Judge:
    """A model put to work on these rows of a micro-batch's records."""
    manifest = loaded.bundle.manifest
    shape, scaling = manifest.input_shape, manifest.scaling
    select = partial(some, rows=rows)
    scale = partial(scaled, shape=shape, scaling=scaling)
    ready: dict[str, Step] = {**checks, "select": select, "scale": scale}
    scorer = loaded.engine.scorer(records, ready, publishing.figures)
    return Judge(loaded.title, shape, scaling, scorer, publishing, loaded.golden)


@dataclass(eq=False)
class Query:
    """What happens to each micro-batch, and how far that is.

    A micro-batch is committed by Spark after its answers are in Kafka: at least once, with the same
    ids if again. `answered` are the readings that were answered so far.
    """

    champions: Champions
    kafka: Kafka
    topics: Topics
    known: KnownTopics
    figures: Tally
    reporter: Reporter
    clock: Clock
    batches: Batches
    checkpoint: Path
    tell: Tell
    roles: Roles = field(default_factory=Roles)
    pace: Pace | None = None
    answered: dict[str, int] = field(default_factory=lambda: {SCORED: 0, DEAD_LETTERS: 0})

    def started(self, records: DataFrame, name: str, every: float | None) -> StreamingQuery:
        """The query on these records, a micro-batch `every` so many seconds; None ends it with the
        last one that is there.
        """
        each = {"processingTime": f"{round((every or 0) * 1000)} milliseconds"}
        trigger: dict[str, Any] = {"availableNow": True} if every is None else each
        writer = records.writeStream.queryName(name).trigger(**trigger)
        running = (
            writer.option("checkpointLocation", str(self.checkpoint))
            .foreachBatch(self._batch)
            .start()
        )
        self.reporter.paced = partial(self._paced, records.sparkSession, running)
        return running

    def _paced(
        self, spark: SparkSession, running: StreamingQuery, rows: int, seconds: float
    ) -> None:
        """Let the next micro-batch be as large as its time allows."""
        if self.pace is not None:
            limited(spark, running, self.pace.after(rows, seconds))

    def _batch(self, records: DataFrame, batch: int) -> None:
        with self.batches.one(batch):
            champion = self._answer(records, batch)
            self.champions.saw(self.figures.value)
            silent_s = self.champions.registry_silent_s
            self.reporter.noted(batch, champion.model, self.figures.value, silent_s)
            for name in self.answered:
                self.answered[name] += round(self.figures.value.get(name, 0))

    def _answer(self, records: DataFrame, batch: int) -> Loaded:
        """Answer the records by the models of now, without those that cannot; the champion."""
        while True:
            line_up = self.champions.current()
            try:
                self._send(records, line_up)
            except Exception as exc:
                if self.batches.stop.is_set():  # whoever stops a service stops its workers, too
                    raise Stopping from exc
                cause = scoring_failure(exc, self.kafka)
                unforeseen = isinstance(cause, ScoringStopped)
                if unforeseen:
                    cause = failing(line_up) or cause
                if self.champions.blamed(str(cause)):
                    continue
                if not isinstance(cause, ScoringStopped):
                    raise cause from exc
                self._send_in_parts(records.sparkSession, line_up, batch, exc)
            return line_up.champion

    def _send(self, records: DataFrame, line_up: LineUp) -> None:
        self.figures.value = {}
        written(self._answers(records, line_up), self.kafka)

    def _answers(self, records: DataFrame, line_up: LineUp) -> DataFrame:
        return answers(
            records, line_up, self.roles, self.topics, self.known, self.figures, self.clock
        )

    def _send_in_parts(
        self, spark: SparkSession, line_up: LineUp, batch: int, exc: Exception
    ) -> None:
        """Answer a micro-batch that cannot be answered as a whole, until single records are to
        blame; raises what stopped it if nothing at all can be answered.
        """
        manifest, total = line_up.champion.bundle.manifest, dict[str, float]()
        try:
            self._answers(nothing(spark), line_up).collect()
        except Exception:
            raise exc from None
        sentence = (
            f"Micro-batch {batch} could not be answered as a whole ({last_cause(str(exc))}), so "
            f"it is answered in parts; that takes minutes where a reading ends a worker."
        )
        self.tell(Notice(sentence))

        def answer(spans: source.Spans) -> None:
            self.reporter.beat()
            readings = source.stored(spark, self.kafka, spans)
            records = source.bounded(readings, manifest.input_shape, self.topics)
            self._send(records, line_up)
            added(total, self.figures.value)

        model, classes = line_up.champion.model, manifest.classes
        publishing = Publishing(self.topics, self.known, model, classes, self.clock, self.figures)
        write = partial(written, kafka=self.kafka)
        parts = Quarantine(spark, self.kafka, publishing, write)
        refused = parts.answer(spans(self.checkpoint), answer)
        self.figures.value = added(total, {DEAD_LETTERS: refused})
        letters = quantity(refused, "dead letter")
        sentence = (
            f"Micro-batch {batch} is answered, with {letters} for readings that cannot be read at "
            f"all."
        )
        self.tell(Notice(sentence))
