"""Watches over the topics of a query while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from kafka.errors import KafkaError

from contract.connection import Kafka
from contract.errors import BrokerUnavailable
from contract.log import looking
from streaming.topic_ids import KnownTopics

_LOOK_SECONDS = 1.0
# How long the last look may take when the query has ended.
_PATIENCE_SECONDS = 10.0


@contextmanager
def watched(
    kafka: Kafka, known: KnownTopics, end: Callable[[Mapping[str, str]], object]
) -> Iterator[None]:
    """While the body runs, call `end` once with the topics that have `changed`, if some do. Kafka
    is asked every second, beside the query; what it does not answer is no reason to end.
    """
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(kafka, known, end, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(_PATIENCE_SECONDS)


def _watch(
    kafka: Kafka,
    known: KnownTopics,
    end: Callable[[Mapping[str, str]], object],
    ended: threading.Event,
) -> None:
    """Look every second, and once more when all has ended."""
    while True:
        with suppress(BrokerUnavailable, KafkaError), looking(kafka) as log:
            while True:
                is_last = ended.wait(_LOOK_SECONDS)
                if changed := known.changed(log.topic_ids(known.ids)):
                    end(changed)
                if changed or is_last:
                    return
        if ended.wait(_LOOK_SECONDS):
            return
