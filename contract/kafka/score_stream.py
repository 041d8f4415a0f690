"""Scores for other programs: typed, in order within a partition, without duplicates."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Self

from kafka.consumer.fetcher import ConsumerRecord

from contract.errors import BadEvent
from contract.kafka.connection import Kafka
from contract.kafka.seen import Seen
from contract.kafka.subscription import Subscription
from contract.wire.events import Score
from contract.wire.messages import Message, expecting
from contract.wire.places import Source
from contract.wire.topics import Topics

REMEMBERED = 100_000_000
RECALLED = 20_000

_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class BadRecord:
    """A record on the scores topic that is not a valid score: its place, the error, its bytes."""

    place: Source
    error: BadEvent
    message: Message


class ScoreStream:
    """The scores of an installation, as an iterator and context manager.

    `kafka` is `host:port`, several separated by commas, or a connection with its security.

    Each score comes once: a score whose id is among the last `remember` ids (of all partitions; one
    bit each) is dropped; such scores come after a crash of the scorer, or if a reading is replayed.
    An older duplicate comes again. No score is ever skipped.

    With a `group`, a program continues where the last one of that group stopped. The position after
    a score is committed once the caller asks for the next score, every second and at the end. So a
    crash loses no score and may repeat the last ones. Without `auto_commit`, only `commit` commits.
    After a restart, the ids of the last `recall` records of each partition are read again. A new
    group, and a stream without a group, starts with the oldest score, or, unless `from_beginning`,
    with the next one to arrive.

    Iteration waits for scores forever, or ends after `patience` seconds without one. A record that
    is not a score raises BadEvent with its place, and the next call continues after it; with
    `on_bad`, that function is called instead. The stream waits for a broker that is down. Not
    thread-safe.

    The constructor raises BrokerUnavailable and TopicMissing; reading raises RecordsLost and
    TopicRefused, too.
    """

    def __init__(
        self,
        kafka: Kafka | str,
        prefix: str = "digits",
        group: str | None = None,
        *,
        from_beginning: bool = True,
        remember: int = REMEMBERED,
        recall: int = RECALLED,
        auto_commit: bool = True,
        patience: float = inf,
        on_bad: Callable[[BadRecord], object] | None = None,
    ) -> None:
        topic = Topics.named(prefix).scores
        self._subscription = Subscription(
            kafka if isinstance(kafka, Kafka) else Kafka(kafka),
            topic,
            group,
            from_beginning=from_beginning,
            recall=recall,
            auto_commit=auto_commit,
        )
        self._seen, self._patience, self._on_bad = Seen(remember), patience, on_bad
        self._waiting: deque[ConsumerRecord] = deque()
        self._in_hand: ConsumerRecord | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Score]:
        return self

    def __next__(self) -> Score:
        score = self.poll(self._patience)
        if score is None:
            raise StopIteration
        return score

    def poll(self, seconds: float = 0.0) -> Score | None:
        """The next score; None if none arrives within so many seconds.

        This completes the previous score, whose position may then be committed.
        """
        self._finish()
        end = time.monotonic() + seconds
        while True:
            while self._waiting:
                score = self._score(self._waiting.popleft())
                if score is not None:
                    return score
            left = end - time.monotonic()
            self._waiting.extend(self._subscription.records(max(0.0, min(left, _WAIT_SECONDS))))
            if left <= 0 and not self._waiting:
                return None

    def commit(self) -> None:
        """Commit the position after the last score returned; waits for Kafka's confirmation.

        Does nothing without a group.
        """
        self._finish()
        self._subscription.commit()

    def close(self) -> None:
        """Commit the position before the last score returned, unless it is completed, and leave the
        group.
        """
        self._subscription.close()

    def _score(self, record: ConsumerRecord) -> Score | None:
        """The score in a record, None for one to be dropped; raises BadEvent."""
        try:
            score = Score.of(record.key, record.value, record.headers)
            with expecting("score"):
                is_new = self._seen.add(score.event_id.encode())
        except BadEvent as error:
            if self._subscription.is_fresh(record):
                self._in_hand = record
                self._report(record, error)
                self._finish()
            return None
        if is_new and self._subscription.is_fresh(record):
            self._in_hand = record
            return score
        self._subscription.mark_done(record)
        return None

    def _report(self, record: ConsumerRecord, error: BadEvent) -> None:
        place = Source(record.topic, record.partition, record.offset)
        placed_error = BadEvent(f"{place.id}: {error}")
        if self._on_bad is None:
            raise placed_error from error
        self._on_bad(
            BadRecord(place, placed_error, Message(record.key, record.value, record.headers))
        )

    def _finish(self) -> None:
        """Mark the last record returned as done: the caller has asked for the next."""
        if self._in_hand is not None:
            self._subscription.mark_done(self._in_hand)
            self._in_hand = None
