"""`digitstream score --topic`: scores past readings again, with a version, to another topic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

from contract.home.checkpoint import Checkpoint
from contract.kafka.offsets import open_log
from contract.kafka.topics import check_topics_exist, ensure_scores_topic
from contract.model import bundle
from contract.settings.programs import History, Rescoring
from contract.wire.reasons import BadReading
from streaming.archive.failures import reached
from streaming.archive.place import Place, check_local
from streaming.archive.session import DELTA
from streaming.archive.tables import READINGS
from streaming.models.loaded import Tell, load_version
from streaming.models.roles import SCORE
from streaming.models.routes import BatchScorer
from streaming.models.selections import everything
from streaming.query.failures import scoring_failure
from streaming.query.program import Summary
from streaming.query.query import batch_scorer
from streaming.spark import source
from streaming.spark.session import prepared, session
from streaming.spark.sink import LARGEST, Sink
from streaming.spark.topic_ids import KnownTopics
from streaming.steps.checks import Checks
from streaming.steps.frame import Frame
from streaming.steps.metrics import BatchMetrics, accumulator
from streaming.steps.pipeline import Pipeline
from streaming.steps.publish import COLUMNS, Publishing, scores, weight

Span = Mapping[int, tuple[int, int]]
"""Partition -> the first offset, and the one after the last."""


def run(
    settings: Rescoring, jars: Sequence[Path], tell: Tell, tables: History | None = None
) -> Summary:
    """Score again what Kafka stored from `settings.from_timestamp` (default: the oldest reading) to
    `settings.to_timestamp` (default: now); return when Kafka has all scores.

    With `tables`, read from the archive, which also has readings that Kafka no longer has; `jars`
    must then include Delta's. A score has the same id as its reading's first score; running again
    writes all scores again. Readings that cannot be scored get no answer, as they have a dead
    letter already; `dead_letters` counts them. Raises NoChampion and BundleError for the version,
    TopicMissing and BrokerUnavailable for Kafka, NoTables and TablesUnreadable.
    """
    if tables is None:
        check_topics_exist(settings.kafka, settings.input_topics)
    else:
        check_local(tables.address)
    ensure_scores_topic(settings.kafka, settings.topic, settings.partitions)
    packages = {"spark.jars.packages": tables.packages} if tables and tables.packages else {}
    more = {**DELTA, **packages} if tables else None
    spark = session(settings.master, jars, more, settings.spark_secret_file)
    try:
        place = None if tables is None else Place(spark, tables.address)
        return rescore(spark, settings, tell, place)
    finally:
        spark.stop()


def rescore(
    spark: SparkSession, settings: Rescoring, tell: Tell, place: Place | None = None
) -> Summary:
    """`run` on an existing session, which stays open."""
    spark, registry = prepared(spark), settings.registry
    version = registry.fetch(settings.version) if settings.version else registry.resolve()
    checked = bundle.load(version.folder)
    loaded = load_version(spark, version, checked, settings.engine, tell, Event())
    manifest, metrics = loaded.bundle.manifest, accumulator(spark.sparkContext)
    clock = partial(datetime.now, UTC)
    topics = settings.topics.scored_to(settings.topic)
    sink = Sink(settings.kafka, settings.compression)
    topic_ids = _topic_ids(settings, place)
    publishing = Publishing(topics, topic_ids, loaded.model, manifest.classes, clock, metrics)
    checks = Checks(manifest.input_shape, topics, manifest.colour)
    try:
        past = _of_topics(spark, settings) if place is None else [_of_tables(place, settings)]
        source.size_batches(spark, manifest.input_shape)
        for readings in past:
            records = source.bounded(readings, manifest.input_shape, topics)
            scorer = batch_scorer(loaded, records, checks, everything, publishing)
            pipeline = Pipeline(checks.steps, ScoreAgain(scorer), metrics)
            sink.publish(records.mapInArrow(pipeline.run, COLUMNS))
    except Exception as failure:
        raise scoring_failure(failure, settings.kafka) from failure
    finally:
        loaded.engine.close()
    return Summary(metrics.value.scored, metrics.value.dead_letters)


@dataclass(frozen=True)
class ScoreAgain:
    """The last step: the scores of a frame's good readings, and nothing for the others."""

    scorer: BatchScorer

    def __call__(self, frame: Frame) -> pa.RecordBatch:
        """The scores; readings without a score are counted as dead letters."""
        publishing = self.scorer.publishing
        records = scores(self.scorer.scored(frame, SCORE), publishing)
        records = records.filter(pa.array(weight(records) <= LARGEST))
        rest = len(frame.records) - len(records)
        publishing.metrics.add(BatchMetrics(scored=len(records), dead_letters=rest))
        return records

    def refuse(self, record: pa.RecordBatch, fault: BadReading) -> None:
        """No answer to a record for which a step raised."""
        self.scorer.publishing.metrics.add(BatchMetrics(dead_letters=len(record)))


def slices(span: Span, size: int) -> Iterator[Span]:
    """The span in parts of at most `size` records, in the order of each partition."""
    size_of_each = max(1, size // max(len(span), 1))
    at = {part: begin for part, (begin, _) in span.items()}
    while any(at[part] < end for part, (_, end) in span.items()):
        upto = {part: min(at[part] + size_of_each, end) for part, (_, end) in span.items()}
        yield {part: (at[part], max(at[part], upto[part])) for part in span}
        at = {part: max(at[part], upto[part]) for part in span}


def _topic_ids(settings: Rescoring, place: Place | None) -> KnownTopics:
    """The topics whose readings are scored again, so that scores keep their ids."""
    if place is None:
        with open_log(settings.kafka) as log:
            ids = log.topic_ids(settings.input_topics)
    else:
        with reached(place.address):
            ids = dict.fromkeys(settings.input_topics, place.readings_id(READINGS))
    begun = Checkpoint.read(settings.checkpoint).planned
    return KnownTopics.read(settings.topics_files).joined(ids, begun)


def _of_topics(spark: SparkSession, settings: Rescoring) -> Iterator[DataFrame]:
    """The readings in Kafka from that period, slice by slice."""
    for topic, span in _spans(settings):
        for part in slices(span, settings.max_offsets_per_trigger):
            yield source.stored(spark, settings.kafka, {topic: part})


def _of_tables(place: Place, settings: Rescoring) -> DataFrame:
    """The archive's readings from that period, in Kafka's columns; raises NoTables."""
    rows = place.existing(READINGS).where(col("topic").isin(*settings.input_topics))
    begin, end = settings.from_timestamp, settings.to_timestamp
    if begin is not None:
        day = begin.astimezone(UTC).date()
        rows = rows.where((col("date") >= day) & (col("broker_time") >= begin))
    if end is not None:
        day = end.astimezone(UTC).date()
        rows = rows.where((col("date") <= day) & (col("broker_time") < end))
    return rows.withColumnRenamed("broker_time", "timestamp")


def _spans(settings: Rescoring) -> list[tuple[str, Span]]:
    """The offsets to score of each topic."""
    with open_log(settings.kafka) as log:
        first, end = log.first(settings.input_topics), log.readable(settings.input_topics)
        begin = log.at(end, settings.from_timestamp) if settings.from_timestamp else first
        stop = log.at(end, settings.to_timestamp) if settings.to_timestamp else end
    return [
        (topic, {part: (begin[topic][part], stop[topic][part]) for part in parts})
        for topic, parts in end.items()
    ]
