"""`digitstream score`: a Spark session with a scoring query, and how both stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import sleep

from kafka import KafkaProducer
from kafka.errors import KafkaError
from pyspark.sql import SparkSession

from contract.errors import SettingsError
from contract.home.checkpoint import Checkpoint, TopicPositions
from contract.home.heartbeat import beat, clear, file
from contract.kafka.clients import arguments, close_producer, connecting
from contract.kafka.offsets import open_log
from contract.kafka.topics import check_topics_exist, ensure
from contract.notices import Notice
from contract.settings.programs import Scoring
from contract.wire.progress import Progress
from streaming.models.guard import Bounds
from streaming.models.loaded import Loader, Tell
from streaming.models.roles import Roles
from streaming.models.service import ModelService
from streaming.query import retention
from streaming.query.failures import scoring_failure
from streaming.query.lag import Follower
from streaming.query.pace import Pace
from streaming.query.query import Answering, Query
from streaming.query.reporter import Reporter
from streaming.spark import source
from streaming.spark.events import listening
from streaming.spark.locks import claim, writing
from streaming.spark.session import prepared, session
from streaming.spark.sink import Sink
from streaming.spark.stopping import Batches, Stopping, signals
from streaming.spark.topic_ids import KnownTopics, TopicRecreated
from streaming.spark.topic_watch import watch
from streaming.steps.metrics import accumulator

# How long the last progress events may take when the query has ended.
_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Summary:
    """How many readings a run of the query answered; replayed readings count again."""

    scored: int
    dead_letters: int


def run(
    settings: Scoring, jars: Sequence[Path], tell: Tell, *, stop: threading.Event | None = None
) -> Summary:
    """Score readings until `stop` is set or SIGINT or SIGTERM arrives; the running micro-batch
    finishes first. With `settings.available_now`, stop once all existing readings are answered.

    `jars` are those of Spark's Kafka connector; `tell` gets sentences for the person who runs the
    query, such as which model takes over. Raises NoChampion, BundleError and ModelFailed for the
    model, TopicMissing, TopicRecreated, AccessDenied, TlsFailed and BrokerUnavailable for Kafka,
    CheckpointInUse, CheckpointUnusable, LockUnusable, CheckpointDamaged, RecordsLost, and
    ScoringStopped. The next call answers the readings that have no answer yet.
    """
    _check_subscribed(settings)
    ensure(settings.kafka, settings.topics, partitions=settings.partitions, needs=_needs(settings))
    if settings.subscribe:
        check_topics_exist(settings.kafka, settings.input_topics)
    settings.registry.resolve()
    spark = session(settings.master, jars, secret_file=settings.spark_secret_file)
    try:
        return score(spark, settings, stop or threading.Event(), tell)
    finally:
        spark.stop()


def _check_subscribed(settings: Scoring) -> None:
    """Raise SettingsError if the query would read a topic that scoring queries write."""
    own = set(astuple(settings.topics)) - {settings.topics.readings}
    circular = [topic for topic in settings.input_topics if topic in own]
    if circular:
        message = (
            f"{', '.join(circular)} cannot be subscribed to: it is a topic that scoring writes, so "
            f"answers would be answered again, without end. Name topics of readings with "
            f"--subscribe."
        )
        raise SettingsError(message)


def score(spark: SparkSession, settings: Scoring, stop: threading.Event, tell: Tell) -> Summary:
    """`run` on an existing session, which stays open."""
    spark = prepared(spark)
    bounds = Bounds(settings.guard_readings, settings.guard_agreement, settings.guard_slowness)
    roles = Roles(bounds, settings.canary, settings.shadow)
    loader = Loader(spark, settings.engine, tell, stop)
    models = ModelService(settings.registry, loader, roles, tell)
    folder = settings.checkpoint
    with (
        signals(stop),
        claim(spark, folder, sleep),
        _reporting(spark, settings) as reporter,
        closing(models),
    ):
        checkpoint = Checkpoint.read(folder)
        _check_begins(checkpoint, settings)
        starting, topic_ids = _begin(folder, settings, checkpoint, tell)
        try:
            champion = models.current().champion
        except Stopping:
            return Summary(0, 0)
        metrics, batches = accumulator(spark.sparkContext), Batches(stop)
        answering = Answering(
            settings.topics, topic_ids, roles, metrics, partial(datetime.now, UTC)
        )
        sink = Sink(settings.kafka, settings.compression)
        pace = Pace(settings.max_offsets_per_trigger, settings.max_latency)
        query = Query(models, answering, sink, reporter, batches, folder, tell, pace)
        readings = source.readings(
            spark,
            settings.kafka,
            (*settings.input_topics, settings.topics.replays),
            pace.limit,
            settings.from_timestamp,
            starting,
        )
        every = None if settings.available_now else settings.trigger
        shape = champion.bundle.manifest.input_shape
        source.size_batches(spark, shape)
        records = source.bounded(readings, shape, settings.topics)
        running = query.start(records, settings.name, every)
        tell(f"Ready: {champion.title} scores with {champion.model.engine}.")
        with watch(
            settings.kafka, topic_ids, lambda changed: batches.end(TopicRecreated.of(changed)), tell
        ) as absence:
            batches.follow(running, absence.ends_waiting)
        reporter.drain(_PATIENCE_SECONDS)
        try:
            batches.check(running)
        except Exception as failure:
            raise scoring_failure(failure, settings.kafka) from failure
        return Summary(query.answered.scored, query.answered.dead_letters)


@contextmanager
def _reporting(spark: SparkSession, settings: Scoring) -> Iterator[Reporter]:
    """A reporter that publishes the progress of the session's queries while the body runs."""
    heartbeat = file(settings.home, "score", settings.name)
    clear(heartbeat)  # a killed process may have left it
    with connecting(settings.kafka):
        # Not idempotent: an idempotent client that loses a message never sends again.
        producer = KafkaProducer(
            **arguments(settings.kafka),
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            max_block_ms=1000 * _PATIENCE_SECONDS,
        )
    try:
        with open_log(settings.kafka) as log:

            def publish(progress: Progress) -> None:
                key, value, headers = progress.message()
                with suppress(KafkaError):
                    producer.send(settings.topics.progress, key=key, value=value, headers=headers)

            with suppress(KafkaError):
                log.committed(settings.group)  # makes the broker create its topic of groups
            reporter = Reporter(settings.name, publish, Follower(log, settings.group))
            reporter.beat = partial(beat, heartbeat)
            with listening(spark, reporter):
                yield reporter
    finally:
        clear(heartbeat)
        close_producer(producer, _PATIENCE_SECONDS)


def _check_begins(checkpoint: Checkpoint, settings: Scoring) -> None:
    """Raise SettingsError if a query that has begun already is given a place to begin."""
    if settings.from_timestamp is not None and checkpoint.planned:
        message = (
            f"The query {settings.name} of {settings.home} has begun already, and continues where "
            f"it stopped. --from-timestamp is for a new query. Leave it out, or start a new query "
            f"with another --name."
        )
        raise SettingsError(message)


def _needs(settings: Scoring) -> dict[str, str]:
    """The permission that the query needs on each of our topics."""
    topics = settings.topics
    written = [topics.scores, topics.dead_letters, topics.progress]
    written += [topics.shadow_scores] if settings.shadow else []
    read = [topics.replays, *({topics.readings} & {*settings.input_topics})]
    return {**dict.fromkeys(read, "READ"), **dict.fromkeys(written, "WRITE")}


def _begin(
    folder: Path, settings: Scoring, checkpoint: Checkpoint, tell: Tell
) -> tuple[str, KnownTopics]:
    """Where the query begins if it has no checkpoint, and the topics that it reads, which are
    written to a file beside the checkpoint.

    Raises TopicRecreated and RecordsLost unless the settings say to continue without lost readings.
    """
    topic_ids = KnownTopics.read(settings.topics_files)
    topics = (*settings.input_topics, settings.topics.replays)
    with open_log(settings.kafka) as log:
        ids = log.topic_ids(topics)
        recreated = topic_ids.changed(ids)
        partitions = [*retention.partitions(log, checkpoint.committed, topics, recreated)]
        group = log.committed(settings.group)
    lost = [partition.lost for partition in partitions if partition.lost]
    starting = "earliest"
    if settings.skip_lost and (lost or recreated):
        skipped = [*lost, *recreated.values()]
        tell(Notice(f"Skipped because Kafka no longer has them: {'; '.join(skipped)}."))
        with writing(folder):
            starting = retention.skip(partitions, folder)
    else:
        if recreated:
            raise TopicRecreated.of(recreated)
        retention.check_nothing_lost(partitions)
        if again := _ahead(group, checkpoint.planned):
            sentence = (
                f"The checkpoint is behind Kafka's group {settings.group} in {', '.join(again)}: "
                f"the readings in between are answered again, under the same ids."
            )
            tell(Notice(sentence))
    topic_ids = topic_ids.joined(ids, checkpoint.planned)
    with writing(folder):
        topic_ids.write(settings.topics_files)
    return starting, topic_ids


def _ahead(group: TopicPositions, planned: TopicPositions) -> list[str]:
    """The partitions in which a group has read further than the query has planned."""
    return [
        f"{topic}/{partition}"
        for topic, partitions in planned.items()
        for partition, offset in sorted(partitions.items())
        if group.get(topic, {}).get(partition, 0) > offset
    ]
