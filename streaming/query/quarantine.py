"""A micro-batch that something stops: answered in parts, until a single record is to blame.

What a step raises in a worker is settled there. This is for what ends a whole job of Spark's: a
record that Kafka's client cannot read, a worker that dies, an answer that Kafka does not take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from contract.errors import DigitstreamError
from contract.home.checkpoint import Checkpoint
from contract.kafka.connection import Kafka
from contract.wire import reasons
from contract.wire.reasons import BadReading
from streaming.errors import ModelFailed
from streaming.models.service import Models
from streaming.query.failures import ScoringStopped, scoring_failure
from streaming.spark.failures import last_cause
from streaming.spark.sink import publish
from streaming.steps.bisection import Span, bisected
from streaming.steps.columns import NOWHERE, RECORDS
from streaming.steps.publish import COLUMNS, Publishing, refused

Spans = Mapping[str, Mapping[int, Span]]
"""Topic -> partition -> offsets."""

Answer = Callable[[Spans], object]
"""Reads the records of these spans, answers them, and returns when Kafka has the answers."""


@dataclass(frozen=True)
class Quarantine:
    """How the parts of a micro-batch are read and answered, and what answers a single record that
    ends the job in which it is read.
    """

    spark: SparkSession
    kafka: Kafka
    publishing: Publishing

    def answer(self, spans: Spans, answer: Answer) -> int:
        """Answer the records of the spans by as few jobs as will do; returns of how many no job
        could make anything, so that each became a dead letter.

        Raises what is no record's fault: what Kafka, the model or the sink raise for any.
        """
        count = sum(span.end - span.begin for parts in spans.values() for span in parts.values())

        def attempt(part: Span) -> None:
            try:
                answer(cut(spans, part))
            except Exception as exc:
                cause = scoring_failure(exc, self.kafka)
                if isinstance(cause, ScoringStopped):
                    raise RuntimeError(last_cause(str(exc))) from exc
                raise cause from exc

        _, faults = bisected(count, attempt, fatal=DigitstreamError)
        for number, fault in faults.items():
            self._refuse(cut(spans, Span(number, number + 1)), str(fault))
        return len(faults)

    def _refuse(self, spans: Spans, why: str) -> None:
        """Answer the one record of these spans by a dead letter without its bytes."""
        for topic, parts in spans.items():
            for partition, span in parts.items():
                place = {"topic": topic, "partition": partition, "offset": span.begin}
                record = pa.RecordBatch.from_pylist([place], RECORDS)
                fault = BadReading(reasons.UNREADABLE, f"{why}; see its topic and offset")
                letters = refused(record, fault, self.publishing).to_pylist()
                rows = [tuple(letter.values()) for letter in letters]
                publish(self.spark.createDataFrame(rows, COLUMNS), self.kafka)


def failing(models: Models) -> ModelFailed | None:
    """What one of the models does now to an image of its golden set, if not to score it."""
    for loaded in (models.champion, models.previous, models.challenger):
        if loaded is not None:
            try:
                loaded.engine.run_trial(loaded.bundle.manifest.scaling.apply(loaded.golden))
            except Exception as exc:
                return ModelFailed(loaded.title, f"raised {last_cause(str(exc))}")
    return None


def empty_record(spark: SparkSession) -> DataFrame:
    """A record that holds nothing and lies nowhere, as `source.bounded` has them."""
    row = tuple(NOWHERE.get(name) for name in RECORDS.names)
    return spark.createDataFrame([row], from_arrow_schema(RECORDS))


def spans(folder: Path) -> dict[str, dict[int, Span]]:
    """What the micro-batch reads that is not done yet, by the checkpoint in the folder."""
    stands = Checkpoint.read(folder)
    begin = stands.committed or stands.begun
    return {
        topic: {
            part: Span(begin.get(topic, {}).get(part, 0), offset) for part, offset in parts.items()
        }
        for topic, parts in stands.planned.items()
    }


def cut(spans: Spans, part: Span) -> dict[str, dict[int, Span]]:
    """The part of the spans whose records, counted in their order from 0, have these numbers."""
    parts: dict[str, dict[int, Span]] = {}
    first = 0
    for topic, partitions in spans.items():
        for partition, (begin, end) in partitions.items():
            inside = Span(max(part.begin - first, 0) + begin, min(part.end - first + begin, end))
            if inside.begin < inside.end:
                parts.setdefault(topic, {})[partition] = inside
            first += end - begin
    return parts
