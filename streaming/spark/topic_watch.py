"""Watches over the topics of a query while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from kafka.errors import KafkaError

from contract.errors import AccessDenied, BrokerUnavailable, TlsFailed
from contract.kafka.connection import Kafka
from contract.kafka.offsets import open_log
from contract.notices import Notice
from streaming.spark.topic_ids import KnownTopics

_LOOK_SECONDS = 1.0
# After how long it is told that Kafka does not answer: what takes less is a restart.
_TOLD_SECONDS = 5.0
# How long a broker may take to answer: one that hangs answers nothing.
_ANSWER_MS = 3_000
# How long a micro-batch is waited for that cannot end: service managers wait for ten seconds.
_GRACE_SECONDS = 5.0
# How long the last look may take when the query has ended.
_PATIENCE_SECONDS = 10.0


@dataclass(eq=False)
class Absence:
    """How long Kafka has not answered; once that is worth a sentence, it is told, and its end."""

    kafka: Kafka
    tell: Callable[[str], object]
    _since: float | None = None
    _is_told: bool = False
    _waits_since: float | None = None
    _let_go: bool = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note it if Kafka does not answer what the body asks."""
        try:
            yield
        except (BrokerUnavailable, KafkaError):
            self._since = time.monotonic() if self._since is None else self._since
            if not self._is_told and time.monotonic() - self._since >= _TOLD_SECONDS:
                self._is_told = True
                sentence = (
                    f"Kafka at {self.kafka} does not answer. Nothing is lost: it goes on by itself "
                    f"when Kafka is back."
                )
                self.tell(Notice(sentence))

    def ends_waiting(self) -> bool:
        """Whether a micro-batch is to be let go that has been waited for since this was first
        asked: for some seconds, and Kafka is away. That is told once.
        """
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        if not self._is_told or time.monotonic() - self._waits_since < _GRACE_SECONDS:
            return False
        if not self._let_go:
            self._let_go = True
            sentence = (
                "Kafka is still away: the micro-batch that runs is let go, and done at the next "
                "start."
            )
            self.tell(Notice(sentence))
        return True

    def over(self) -> None:
        """Kafka has answered."""
        if self._is_told:
            self.tell(Notice(f"Kafka at {self.kafka} answers again."))
        self._since, self._is_told = None, False


@contextmanager
def watched(
    kafka: Kafka,
    topics: KnownTopics,
    end: Callable[[Mapping[str, str]], object],
    tell: Callable[[str], object],
) -> Iterator[Absence]:
    """While the body runs, call `end` once with the topics that have `changed`, if some do. Kafka
    is asked every second, beside the query; what it does not answer is no reason to end, but told,
    and the body gets to know it.
    """
    ended, absence = threading.Event(), Absence(kafka, tell)
    arguments = (kafka, topics, end, ended, absence)
    watcher = threading.Thread(target=_watch, args=arguments, daemon=True)
    watcher.start()
    try:
        yield absence
    finally:
        ended.set()
        watcher.join(_PATIENCE_SECONDS)


def _watch(
    kafka: Kafka,
    topics: KnownTopics,
    end: Callable[[Mapping[str, str]], object],
    ended: threading.Event,
    absence: Absence,
) -> None:
    """Look every second, and once more when all has ended. Of what Kafka refuses us the query's
    own clients tell.
    """
    while True:
        with suppress(AccessDenied, TlsFailed), absence.noted(), open_log(kafka, _ANSWER_MS) as log:
            while True:
                is_last = ended.wait(_LOOK_SECONDS)
                changed = topics.changed(log.topic_ids(topics.ids))
                absence.over()
                if changed:
                    end(changed)
                if changed or is_last:
                    return
        if ended.wait(_LOOK_SECONDS):
            return
