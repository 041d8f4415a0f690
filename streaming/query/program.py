"""`digitstream score`: a session, a query on it, and how both end."""

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
from streaming.spark.locks import claimed, writing
from streaming.spark.session import prepared, session
from streaming.spark.stopping import Batches, Stopping, signals
from streaming.spark.topic_ids import KnownTopics, TopicRecreated
from streaming.spark.topic_watch import watched
from streaming.steps.metrics import accumulator

# How long the last progress events may take: readings matter, figures do not.
_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Summary:
    """What a run of the query answered; replayed readings count again."""

    scored: int
    dead_letters: int


def run(
    settings: Scoring, jars: Sequence[Path], tell: Tell, *, stop: threading.Event | None = None
) -> Summary:
    """Score readings until `stop` is set or SIGINT or SIGTERM arrives; then the micro-batch that
    runs is finished first. With `settings.available_now`, until all that is there is answered.

    `jars` are those of Spark's Kafka connector; `tell` takes what a person should know of models
    that take over, or may not. Raises NoChampion, BundleError and ModelFailed for the model,
    TopicMissing, TopicRecreated, AccessDenied, TlsFailed and BrokerUnavailable for Kafka,
    CheckpointInUse, CheckpointUnusable, LockUnusable, CheckpointDamaged, RecordsLost, and
    ScoringStopped; readings without an answer then get it when this is called again.
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
    """Raise SettingsError if the query would read what it, or its like, writes."""
    own = set(astuple(settings.topics)) - {settings.topics.readings}
    circular = [topic for topic in settings.input_topics if topic in own]
    if circular:
        message = (
            f"Topics of readings are read, and {', '.join(circular)} is none: answers to what lies "
            f"there would come to lie there again, without end. Name other topics with --subscribe."
        )
        raise SettingsError(message)


def score(spark: SparkSession, settings: Scoring, stop: threading.Event, tell: Tell) -> Summary:
    """`run` on a session that is there, and stays."""
    spark = prepared(spark)
    bounds = Bounds(settings.guard_readings, settings.guard_agreement, settings.guard_slowness)
    roles = Roles(bounds, settings.canary, settings.shadow)
    loader = Loader(spark, settings.engine, tell, stop)
    models = ModelService(settings.registry, loader, roles, tell)
    folder = settings.checkpoint
    with (
        signals(stop),
        claimed(spark, folder, sleep) as checkpoint,
        _reporting(spark, settings) as reporter,
        closing(models),
    ):
        stands = Checkpoint.read(checkpoint)
        _check_begins(stands, settings)
        starting, topic_ids = _begin(checkpoint, settings, stands, tell)
        try:
            champion = models.current().champion
        except Stopping:
            return Summary(0, 0)
        metrics, batches = accumulator(spark.sparkContext), Batches(stop)
        answering = Answering(
            settings.topics, topic_ids, roles, metrics, partial(datetime.now, UTC)
        )
        query = Query(models, answering, settings.kafka, reporter, batches, checkpoint, tell)
        most = settings.max_offsets_per_trigger
        if settings.max_latency is not None:
            query.pace = Pace(most, settings.max_latency)
            most = query.pace.limit
        readings = source.readings(
            spark,
            settings.kafka,
            (*settings.input_topics, settings.topics.replays),
            most,
            settings.from_timestamp,
            starting,
        )
        every = None if settings.available_now else settings.trigger
        shape = champion.bundle.manifest.input_shape
        source.size_batches(spark, shape)
        records = source.bounded(readings, shape, settings.topics)
        running = query.start(records, settings.name, every)
        tell(f"Ready: {champion.title} scores with {champion.model.engine}.")
        with watched(
            settings.kafka, topic_ids, lambda changed: batches.end(TopicRecreated.of(changed)), tell
        ) as absence:
            batches.follow(running, absence.ends_waiting)
        reporter.drained(_PATIENCE_SECONDS)
        try:
            batches.check(running)
        except Exception as failure:
            raise scoring_failure(failure, settings.kafka) from failure
        return Summary(query.answered.scored, query.answered.dead_letters)


@contextmanager
def _reporting(spark: SparkSession, settings: Scoring) -> Iterator[Reporter]:
    """A reporter of progress to its topic, heard by the session's queries while the body runs."""
    goes_on = file(settings.home, "score", settings.name)
    clear(goes_on)  # a process that was killed left it
    with connecting(settings.kafka):
        # Without numbered messages: a client that numbers them and loses one never sends again.
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
                log.committed(settings.group)  # a broker makes its topic of groups when first asked
            reporter = Reporter(settings.name, publish, Follower(log, settings.group))
            reporter.beat = partial(beat, goes_on)
            spark.streams.addListener(reporter)
            yield reporter
            spark.streams.removeListener(reporter)
    finally:
        clear(goes_on)
        close_producer(producer, _PATIENCE_SECONDS)


def _check_begins(stands: Checkpoint, settings: Scoring) -> None:
    """Raise SettingsError if the query is told where to begin, but has begun already."""
    if settings.from_timestamp is not None and stands.planned:
        message = (
            f"The query {settings.name} of {settings.home} has begun already, and goes on where it "
            f"stopped. --from-timestamp is for one that begins. Leave it out, or give the new "
            f"query a name of its own with --name."
        )
        raise SettingsError(message)


def _needs(settings: Scoring) -> dict[str, str]:
    """What the query must be allowed on each of our topics."""
    topics = settings.topics
    written = [topics.scores, topics.dead_letters, topics.progress]
    written += [topics.shadow_scores] if settings.shadow else []
    read = [topics.replays, *({topics.readings} & {*settings.input_topics})]
    return {**dict.fromkeys(read, "READ"), **dict.fromkeys(written, "WRITE")}


def _begin(
    folder: Path, settings: Scoring, stands: Checkpoint, tell: Tell
) -> tuple[str, KnownTopics]:
    """Where the query begins if its checkpoint does not say, and the topics that it reads, which
    are noted beside the checkpoint.

    Raises TopicRecreated and RecordsLost unless the settings say to go on without what is lost.
    """
    topic_ids = KnownTopics.read(settings.topics_files)
    topics = (*settings.input_topics, settings.topics.replays)
    with open_log(settings.kafka) as log:
        ids = log.topic_ids(topics)
        recreated = topic_ids.changed(ids)
        partitions = [*retention.partitions(log, stands.committed, topics, recreated)]
        group = log.committed(settings.group)
    lost = [partition.lost for partition in partitions if partition.lost]
    starting = "earliest"
    if settings.skip_lost and (lost or recreated):
        skipped = [*lost, *recreated.values()]
        tell(Notice(f"Skipped, since Kafka no longer has them: {'; '.join(skipped)}."))
        with writing(folder):
            starting = retention.skip(partitions, folder)
    else:
        if recreated:
            raise TopicRecreated.of(recreated)
        retention.check_nothing_lost(partitions)
        if again := _ahead(group, stands.planned):
            sentence = (
                f"The checkpoint is behind Kafka's group {settings.group}, which is further in "
                f"{', '.join(again)}: what lies between is answered again, under the same ids."
            )
            tell(Notice(sentence))
    topic_ids = topic_ids.joined(ids, stands.planned)
    with writing(folder):
        topic_ids.write(settings.topics_files)
    return starting, topic_ids


def _ahead(group: TopicPositions, planned: TopicPositions) -> list[str]:
    """The partitions of which a group has read more than the query has planned."""
    return [
        f"{topic}/{partition}"
        for topic, partitions in planned.items()
        for partition, offset in sorted(partitions.items())
        if group.get(topic, {}).get(partition, 0) > offset
    ]
