"""Watches the topics of a query while it runs."""

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
# How long Kafka must not answer before that is reported: a restart takes less.
_REPORT_SECONDS = 5.0
# Timeout of a request to a broker, which may hang.
_ANSWER_MS = 3_000
# How long to wait for a micro-batch that cannot end: service managers wait for ten seconds.
_GRACE_SECONDS = 5.0
# How long the last check may take when the query has ended.
_PATIENCE_SECONDS = 10.0


@dataclass(eq=False)
class Absence:
    """How long Kafka has not answered; after some seconds that is reported, and so is its end."""

    kafka: Kafka
    tell: Callable[[str], object]
    _since: float | None = None
    _is_reported: bool = False
    _waits_since: float | None = None
    _is_abandoned: bool = False

    @contextmanager
    def note(self) -> Iterator[None]:
        """Suppress the errors of the body if Kafka does not answer, and note the time."""
        try:
            yield
        except (BrokerUnavailable, KafkaError):
            self._since = time.monotonic() if self._since is None else self._since
            if not self._is_reported and time.monotonic() - self._since >= _REPORT_SECONDS:
                self._is_reported = True
                sentence = (
                    f"Kafka at {self.kafka} does not answer. Nothing is lost: the query continues "
                    f"by itself when Kafka is back."
                )
                self.tell(Notice(sentence))

    def ends_waiting(self) -> bool:
        """Whether to abandon the running micro-batch: Kafka does not answer, and the first call of
        this was some seconds ago. That is reported once.
        """
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        if not self._is_reported or time.monotonic() - self._waits_since < _GRACE_SECONDS:
            return False
        if not self._is_abandoned:
            self._is_abandoned = True
            sentence = (
                "Kafka still does not answer: the running micro-batch is abandoned, and the next "
                "start repeats it."
            )
            self.tell(Notice(sentence))
        return True

    def end(self) -> None:
        """Note that Kafka has answered."""
        if self._is_reported:
            self.tell(Notice(f"Kafka at {self.kafka} answers again."))
        self._since, self._is_reported = None, False


@contextmanager
def watch(
    kafka: Kafka,
    topics: KnownTopics,
    end: Callable[[Mapping[str, str]], object],
    tell: Callable[[str], object],
) -> Iterator[Absence]:
    """While the body runs, call `end` once with the topics that have changed, if any do.

    A thread asks Kafka every second. If Kafka does not answer, that is reported through `tell`, and
    in the Absence that the body gets; the query need not end.
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
    """Check every second, and once more after the body. Errors of access or TLS are ignored, as the
    query's own clients report them.
    """
    while True:
        with suppress(AccessDenied, TlsFailed), absence.note(), open_log(kafka, _ANSWER_MS) as log:
            while True:
                is_last = ended.wait(_LOOK_SECONDS)
                changed = topics.changed(log.topic_ids(topics.ids))
                absence.end()
                if changed:
                    end(changed)
                if changed or is_last:
                    return
        if ended.wait(_LOOK_SECONDS):
            return
