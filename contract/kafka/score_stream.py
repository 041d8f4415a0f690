"""The scores as a program of anybody's takes them: typed, in order, each once."""

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
from contract.kafka.subscription import Following
from contract.wire.events import Score
from contract.wire.messages import Message, expecting
from contract.wire.places import Source
from contract.wire.topics import Topics

REMEMBERED = 100_000_000
RECALLED = 20_000

_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class BadRecord:
    """A record on the topic of scores that holds none: where it lies, what is wrong, its bytes."""

    place: Source
    error: BadEvent
    message: Message


class ScoreStream:
    """The scores of an installation, one after another; a context manager and an iterator.

    `kafka` is `host:port`, several with commas, or a connection with its security.

    Each score once: a repeated id, after a crash of the scorer or by a reading that was sent again,
    is dropped as long as it is among the last `remember` ids (of all partitions; a bit each). What
    is forgotten comes again, and nothing is ever left out.

    With a `group` a program goes on where the last one of that group stopped: a position is
    committed, every second and in the end, after the caller has asked for the score after it, so
    that a crash loses none and may hand the last ones on again; without `auto_commit` only `commit`
    does. Ids are remembered across a restart as far as the last `recall` records of each partition.
    Without a group every stream begins anew: at the beginning, or at what comes from now on. That
    is also where a new group begins.

    Iterating waits for scores for ever, or ends after `patience` seconds without one. A record that
    is no score raises BadEvent with its place, and the next call goes on after it; with `on_bad` it
    is handed to that instead. A broker that goes away is waited for. Not for several threads.

    Raises BrokerUnavailable and TopicMissing when it is made, RecordsLost and TopicRefused later.
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
        self._following = Following(
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
        """The next score; None if there is none within so many seconds.

        The score before it is done by that, so that its position may be committed.
        """
        self._finish()
        end = time.monotonic() + seconds
        while True:
            while self._waiting:
                score = self._score(self._waiting.popleft())
                if score is not None:
                    return score
            left = end - time.monotonic()
            self._waiting.extend(self._following.records(max(0.0, min(left, _WAIT_SECONDS))))
            if left <= 0 and not self._waiting:
                return None

    def commit(self) -> None:
        """Say that all that was handed on is done, the score in hand, too; return when it is kept.

        Without a group there is nothing to keep.
        """
        self._finish()
        self._following.commit()

    def close(self) -> None:
        """Keep what is done, without the score in hand, and leave the group."""
        self._following.close()

    def _score(self, record: ConsumerRecord) -> Score | None:
        """The score in a record, None if it is to be dropped; raises BadEvent."""
        try:
            score = Score.of(record.key, record.value, record.headers)
            with expecting("score"):
                new = self._seen.add(score.event_id.encode())
        except BadEvent as error:
            if self._following.fresh(record):
                self._in_hand = record
                self._tell(record, error)
                self._finish()
            return None
        if new and self._following.fresh(record):
            self._in_hand = record
            return score
        self._following.done(record)
        return None

    def _tell(self, record: ConsumerRecord, error: BadEvent) -> None:
        place = Source(record.topic, record.partition, record.offset)
        told = BadEvent(f"{place.id}: {error}")
        if self._on_bad is None:
            raise told from error
        self._on_bad(BadRecord(place, told, Message(record.key, record.value, record.headers)))

    def _finish(self) -> None:
        """The caller has asked for more: what it has got is done."""
        if self._in_hand is not None:
            self._following.done(self._in_hand)
            self._in_hand = None
