"""Answers a failing micro-batch in parts, until single records are to blame.

Workers handle what a step raises. This is for what ends a whole Spark job: a record that Kafka's
client cannot read, a worker that dies, an answer that Kafka rejects.
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
from contract.wire import reasons
from contract.wire.reasons import BadReading
from streaming.errors import ModelFailed
from streaming.models.service import Models
from streaming.query.failures import ScoringStopped, scoring_failure
from streaming.spark.failures import last_cause
from streaming.spark.sink import Sink
from streaming.steps.bisection import Span, bisected
from streaming.steps.columns import NOWHERE, RECORDS
from streaming.steps.publish import COLUMNS, Publishing, refused

Spans = Mapping[str, Mapping[int, Span]]
"""Topic -> partition -> offsets."""

Answer = Callable[[Spans], object]
"""Reads and answers the records of these spans; returns when Kafka has the answers."""


@dataclass(frozen=True)
class Quarantine:
    """Answers the parts of a micro-batch, and writes a dead letter for each record that ends its
    Spark job.
    """

    spark: SparkSession
    sink: Sink
    publishing: Publishing

    def answer(self, spans: Spans, answer: Answer) -> int:
        """Answer the records of the spans in as few jobs as possible; returns the number of records
        that ended their job and became dead letters.

        Raises errors of Kafka, the model or the sink, which are not the fault of a record.
        """
        count = sum(span.end - span.begin for parts in spans.values() for span in parts.values())

        def attempt(part: Span) -> None:
            try:
                answer(cut(spans, part))
            except Exception as exc:
                cause = scoring_failure(exc, self.sink.kafka)
                if isinstance(cause, ScoringStopped):
                    raise RuntimeError(last_cause(str(exc))) from exc
                raise cause from exc

        _, faults = bisected(count, attempt, fatal=DigitstreamError)
        for number, fault in faults.items():
            self._refuse(cut(spans, Span(number, number + 1)), str(fault))
        return len(faults)

    def _refuse(self, spans: Spans, why: str) -> None:
        """Answer the single record of these spans with a dead letter without its bytes."""
        for topic, parts in spans.items():
            for partition, span in parts.items():
                place = {"topic": topic, "partition": partition, "offset": span.begin}
                record = pa.RecordBatch.from_pylist([place], RECORDS)
                fault = BadReading(reasons.UNREADABLE, f"{why}; see its topic and offset")
                letters = refused(record, fault, self.publishing).to_pylist()
                rows = [tuple(letter.values()) for letter in letters]
                self.sink.publish(self.spark.createDataFrame(rows, COLUMNS))


def failing(models: Models) -> ModelFailed | None:
    """The failure of the first model that cannot score an image of its golden set now, if any."""
    for loaded in (models.champion, models.previous, models.challenger):
        if loaded is not None:
            try:
                loaded.engine.run_trial(loaded.bundle.manifest.scaling.apply(loaded.golden))
            except Exception as exc:
                return ModelFailed(loaded.title, f"raised {last_cause(str(exc))}")
    return None


def empty_record(spark: SparkSession) -> DataFrame:
    """An empty record with no place in Kafka, with the columns of `source.bounded`."""
    row = tuple(NOWHERE.get(name) for name in RECORDS.names)
    return spark.createDataFrame([row], from_arrow_schema(RECORDS))


def spans(folder: Path) -> dict[str, dict[int, Span]]:
    """The offsets of the uncommitted micro-batch, by the checkpoint in the folder."""
    checkpoint = Checkpoint.read(folder)
    begin = checkpoint.committed or checkpoint.begun
    return {
        topic: {
            part: Span(begin.get(topic, {}).get(part, 0), offset) for part, offset in parts.items()
        }
        for topic, parts in checkpoint.planned.items()
    }


def cut(spans: Spans, part: Span) -> dict[str, dict[int, Span]]:
    """The part of the spans with these records, numbered from 0 in the order of the spans."""
    parts: dict[str, dict[int, Span]] = {}
    first = 0
    for topic, partitions in spans.items():
        for partition, (begin, end) in partitions.items():
            inside = Span(max(part.begin - first, 0) + begin, min(part.end - first + begin, end))
            if inside.begin < inside.end:
                parts.setdefault(topic, {})[partition] = inside
            first += end - begin
    return parts
