"""`digitstream archive`: one Spark session with four queries, and how they stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from kafka import KafkaConsumer, TopicPartition
from pyspark.sql import SparkSession
from pyspark.sql.functions import max as highest
from pyspark.sql.streaming.query import StreamingQuery

from contract.errors import UsageError
from contract.home.checkpoint import Checkpoint, CheckpointDamaged
from contract.kafka.clients import PATIENCE_MS, connecting, consumer_arguments
from contract.kafka.offsets import open_log
from contract.kafka.topics import ensure
from contract.settings.programs import Archiving
from streaming.archive.failures import archive_failure
from streaming.archive.place import (
    CHECKPOINT,
    READINGS_ID,
    TOPIC,
    TOPIC_ID,
    Place,
    TableBusy,
    property_of,
)
from streaming.archive.query import Archive
from streaming.archive.session import session
from streaming.archive.tables import TABLES, Table
from streaming.spark import source
from streaming.spark.heartbeat import beating
from streaming.spark.stopping import Batches, signals
from streaming.spark.topic_ids import KnownTopics, TopicIds
from streaming.spark.topic_watch import watch

_GLANCE_SECONDS = 0.2
_NEWS_SECONDS = 10.0


class OtherTopic(UsageError):
    """The table holds the records of another topic."""


@dataclass(frozen=True)
class Summary:
    """How many rows a run added to each table."""

    readings: int
    labels: int
    scores: int
    dead_letters: int


def run(
    settings: Archiving,
    jars: Sequence[Path],
    *,
    stop: threading.Event | None = None,
    tell: Callable[[str], object] = lambda sentence: None,
    progress: Callable[[int], object] = lambda rows: None,
) -> Summary:
    """Archive the topics until `stop` is set or SIGINT or SIGTERM arrives; commits in progress
    finish first. With `settings.available_now`, stop once all existing records are archived.

    `jars` are those of Spark's Kafka connector and of Delta. Raises TopicMissing, BrokerUnavailable
    and RecordsLost for Kafka, TablesUnwritable, TableBusy and OtherTopic for the tables, and
    ArchiveStopped. The next call archives whatever is left. `tell` gets a sentence when Kafka stops
    answering and when it answers again; `progress` gets the number of rows added so far every few
    seconds.
    """
    ensure(settings.kafka, settings.topics, partitions=settings.partitions)
    spark = session(
        "digitstream-archive",
        settings.master,
        jars,
        settings.packages,
        settings.spark_secret_file,
    )
    try:
        return archive(spark, settings, stop or threading.Event(), tell, progress)
    finally:
        spark.stop()


def archive(
    spark: SparkSession,
    settings: Archiving,
    stop: threading.Event,
    tell: Callable[[str], object] = lambda sentence: None,
    progress: Callable[[int], object] = lambda rows: None,
) -> Summary:
    """`run` on an existing session, which stays open."""
    place = Place(spark, settings.address)
    try:
        if place.folder is not None:
            place.folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise archive_failure(exc, settings.kafka, settings.topics.readings, place.address) from exc
    with (
        signals(stop),
        place.archiving() as alone,
        beating(spark, settings.home, "archive"),
    ):
        if not alone:
            message = (
                f"Another process archives to {place.address}. Only one may. Stop it first, or "
                f"choose another --tables for this one."
            )
            raise TableBusy(message)
        with open_log(settings.kafka) as log:
            ids = log.topic_ids(table.topic(settings.topics) for table in TABLES)
        for table in _until(stop):
            with _explaining(settings, place, table):
                _open(place, table, settings, ids)
        running: list[tuple[StreamingQuery, Archive]] = []

        def end(changed: Mapping[str, str]) -> None:
            for _, archive in running:
                archive.batches.end(_recreated(place, changed))

        try:
            for table in _until(stop):
                with _explaining(settings, place, table):
                    running.append(_start(place, table, settings, stop))
            with watch(settings.kafka, KnownTopics(ids), end, tell) as absence:
                _wait(running, stop, progress)
                with ThreadPoolExecutor(len(TABLES)) as pool:
                    for query, archive in running:
                        pool.submit(archive.batches.follow, query, absence.ends_waiting)
        except BaseException:
            stop.set()
            raise
        finally:
            for query, archive in running:
                archive.batches.follow(query)
        for query, archive in running:
            with _explaining(settings, place, archive.table):
                archive.batches.check(query)
        rows = {archive.table.name: archive.rows for _, archive in running}
        return Summary(**{table.name: rows.get(table.name, 0) for table in TABLES})


def _until(stop: threading.Event) -> Iterator[Table]:
    """The tables, until `stop` is set."""
    for table in TABLES:
        if stop.is_set():
            return
        yield table


def _start(
    place: Place, table: Table, settings: Archiving, stop: threading.Event
) -> tuple[StreamingQuery, Archive]:
    """Start the query of one table; returns it with its archive."""
    readings, topic = settings.topics.readings, table.topic(settings.topics)
    archive = Archive(table, place, Batches(stop), readings, place.readings_id(table))
    _check_checkpoint(place, table)
    begins = "earliest" if place.has_begun(table) else _after(place, table, topic, settings)
    records = source.readings(
        place.spark, settings.kafka, [topic], settings.batch_records, starting=begins
    )
    records = source.within_bounds(records)
    query = archive.start(records, every=settings.trigger, available_now=settings.available_now)
    return query, archive


def _wait(
    running: Sequence[tuple[StreamingQuery, Archive]],
    stop: threading.Event,
    progress: Callable[[int], object],
) -> None:
    """Return when all queries have ended or `stop` is set; a query that fails sets it."""
    reported, since = 0, monotonic()
    while any(query.isActive for query, _ in running) and not stop.wait(_GLANCE_SECONDS):
        rows = sum(archive.rows for _, archive in running)
        if rows > reported and monotonic() - since >= _NEWS_SECONDS:
            reported, since = rows, monotonic()
            progress(rows)
        if any(not query.isActive and query.exception() is not None for query, _ in running):
            stop.set()


def _open(place: Place, table: Table, settings: Archiving, ids: TopicIds) -> None:
    """Create the table for its topic unless it exists; raises OtherTopic if it was created for
    another topic.
    """
    topic = table.topic(settings.topics)
    expected = {
        TOPIC: topic,
        TOPIC_ID: property_of(ids[topic]),
        READINGS_ID: property_of(ids[settings.topics.readings]),
    }
    if not place.has(table):
        with place.writing(table):
            place.make(table, expected)
    actual = place.properties(table)
    if any(actual.get(name) != value for name, value in expected.items()):
        message = (
            f"{place.of(table)} holds records of {actual.get(TOPIC)} from when its id was "
            f"{actual.get(TOPIC_ID)}, but {topic} at {settings.kafka} has the id "
            f"{expected[TOPIC_ID]}. Rows of two topics must not mix. Choose another --tables, or "
            f"move the old tables away."
        )
        raise OtherTopic(message)


def _after(place: Place, table: Table, topic: str, settings: Archiving) -> str:
    """Starting offsets in Spark's format for a query without a checkpoint: after the last row of
    the table.
    """
    if place.is_empty(table):
        return "earliest"
    partition, offset = table.position
    last_offsets = place.read(table).groupBy(partition).agg(highest(offset)).collect()
    if not last_offsets:
        return "earliest"
    with connecting(settings.kafka):
        consumer = KafkaConsumer(**consumer_arguments(settings.kafka))
        try:
            numbers = consumer.partitions_for_topic(topic) or ()
            places = [TopicPartition(topic, number) for number in numbers]
            first = consumer.beginning_offsets(places)
        finally:
            consumer.close(timeout_ms=PATIENCE_MS)
    begins = {place.partition: offset for place, offset in first.items()}
    begins |= {number: max(begins.get(number, 0), last + 1) for number, last in last_offsets}
    return json.dumps({topic: begins})


def _check_checkpoint(place: Place, table: Table) -> None:
    """Raise CheckpointDamaged if Spark cannot continue from a table's checkpoint; only checks
    checkpoints on this machine.
    """
    if place.folder is None:
        return
    folder = place.folder / table.name / CHECKPOINT
    try:
        Checkpoint.read(folder)
    except CheckpointDamaged as damaged:
        remedy = f"Remove {folder}: the archive then continues after the last row of the table."
        raise CheckpointDamaged(damaged.file, damaged.fact, remedy) from damaged


def _recreated(place: Place, changed: Mapping[str, str]) -> OtherTopic:
    return OtherTopic(
        f"A topic was deleted and recreated while it was archived: {'; '.join(changed.values())}. "
        f"{place.address} holds the old topic, and rows of two topics must not mix. Choose another "
        f"--tables for the new topic, or move the old tables away."
    )


@contextmanager
def _explaining(settings: Archiving, place: Place, table: Table) -> Iterator[None]:
    """Raise any error of a table's query as one that has a sentence for users."""
    try:
        yield
    except Exception as exc:
        topic = table.topic(settings.topics)
        raise archive_failure(exc, settings.kafka, topic, place.of(table)) from exc
