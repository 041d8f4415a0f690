"""The state of the scoring query: its last progress, and how far it is behind."""

from __future__ import annotations

import fcntl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from contract import files
from contract.errors import BadEvent, StateError
from contract.home.checkpoint import lock_of
from contract.kafka.offsets import Log
from contract.kafka.transactions import OpenTransaction
from contract.settings.programs import Scoring
from contract.wire.progress import Progress
from digitstream.accounts.topic_reader import TopicReader
from streaming.spark.topic_ids import KnownTopics

# Records per partition to read: progress is small, and the last one of any query is among these.
_LATEST = 2_000


SILENT_SECONDS = 120.0
"""Longer than a running query takes to answer some of the waiting readings."""


class LockUnreadable(StateError):
    """The lock file that shows whether a query is running cannot be opened."""


@dataclass(frozen=True)
class Status:
    """A query's state; `last` is its last micro-batch, None if there was none, or long ago."""

    query: str
    running: bool | None
    """None if its checkpoint is not on this machine."""
    last: Progress | None
    seconds_ago: float | None
    waiting: int
    """Readings without an answer, by the group's offsets in Kafka; all readings without a group."""
    group: str
    open_transactions: list[OpenTransaction]
    """Open transactions that hold back readings, replays or answers."""
    reads: list[str] = field(default_factory=list)
    """The topics that the query reads, by the file beside its checkpoint; empty without one."""
    unread: list[str] = field(default_factory=list)
    """The requested topics that it does not read."""

    @property
    def is_up(self) -> bool:
        """Whether the query is running and reads the requested topics, as far as can be seen.

        One on another machine counts as up if it ever ran, unless readings wait and it is silent.
        """
        if self.running is not None:
            return self.running and not self.unread
        if self.last is None or self.seconds_ago is None:
            return False
        return not self.waiting or self.seconds_ago < SILENT_SECONDS


def status(reader: TopicReader, log: Log, settings: Scoring, now: datetime) -> Status:
    """The state of the query of these settings.

    Raises TopicMissing, BrokerUnavailable and CheckpointDamaged.
    """
    last = _last(reader, settings)
    done = log.committed(settings.group)
    reads = sorted(KnownTopics.read(settings.topics_files).ids)
    unread = [topic for topic in settings.input_topics if reads and topic not in reads]
    # Readings that the query does not read do not wait for it.
    topics = (
        *(topic for topic in settings.input_topics if topic not in unread),
        settings.topics.replays,
    )
    first, ends = log.first(topics), log.readable(topics)
    waiting = sum(
        max(end - max(done.get(topic, {}).get(partition, 0), first[topic][partition]), 0)
        for topic, partitions in ends.items()
        for partition, end in partitions.items()
    )
    return Status(
        query=settings.name,
        running=is_running(lock_of(settings.checkpoint)),
        last=last,
        seconds_ago=None if last is None else _seconds_ago(last.time, now),
        waiting=waiting,
        group=settings.group,
        open_transactions=log.open_transactions(_topics(settings)),
        reads=reads,
        unread=unread,
    )


def _seconds_ago(time: datetime, now: datetime) -> float:
    return max(0.0, round((now - time).total_seconds(), 1))


def _topics(settings: Scoring) -> list[str]:
    topics = settings.topics
    return [*settings.input_topics, topics.replays, topics.scores, topics.dead_letters]


def is_running(lock: Path) -> bool | None:
    """Whether a process holds the lock of a checkpoint; None if there is no lock file.

    Raises LockUnreadable if this user may not open it.
    """
    try:
        files.check_regular(lock)
        with lock.open("rb") as file:
            return _is_held(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        message = (
            f"Whether the query is running is unknown: {lock} cannot be opened ({exc.strerror}). "
            f"A running query keeps this file locked. Ask as a user who may read it, or fix it."
        )
        raise LockUnreadable(message) from exc


def _is_held(file: BinaryIO) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX has one as well as the other
        return True
    return False


def _last(reader: TopicReader, settings: Scoring) -> Progress | None:
    topic = settings.topics.progress
    start = {part: max(end - _LATEST, 0) for part, end in reader.end(topic).items()}
    newest: tuple[int, Progress] | None = None
    for records in reader.records(topic, start):
        for record in records:
            if record.key != settings.name.encode():
                continue
            with suppress(BadEvent):  # whoever may write there must not be able to hide the rest
                progress = Progress.of(record.key, record.value, record.headers)
                newest = max(newest or (0, progress), (record.timestamp, progress), key=_stored)
    return None if newest is None else newest[1]


def _stored(event: tuple[int, Progress]) -> int:
    """Kafka's time of an event."""
    return event[0]
