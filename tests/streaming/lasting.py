"""A query that goes on while a test does things beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pyspark.sql import SparkSession

from contract.settings.programs import Scoring
from streaming.query.program import score
from tests.streaming.records import reading
from tests.streaming.wire import Sent, answers, send, until, until_stored

# A query that looks for readings without a pause takes half a core.
_TRIGGER_SECONDS = 0.1


@contextmanager
def running(spark: SparkSession, settings: Scoring) -> Iterator[list[str]]:
    """The query, while the body runs; what it tells once it is ready comes into the list."""
    sentences: list[str] = []

    def tell(sentence: str) -> None:
        if not sentence.startswith("Ready: "):
            sentences.append(sentence)

    stop = threading.Event()
    going = replace(settings, available_now=False, trigger=settings.trigger or _TRIGGER_SECONDS)
    thread = threading.Thread(target=score, args=(spark, going, stop, tell))
    thread.start()
    try:
        yield sentences
    finally:
        stop.set()
        thread.join(60)


def answered(settings: Scoring, *sent: Sent) -> None:
    """Wait until as many readings are answered as were sent, some of them twice maybe."""
    count = sum(map(len, sent))
    until_stored(settings, count, settings.topics.scores, settings.topics.dead_letters)
    until(lambda: len(set(answers(settings).sources)) >= count)


def heard(sentences: list[str], words: str) -> None:
    """Wait until the query tells this: then it holds for every micro-batch that begins."""
    until(lambda: any(sentence.startswith(words) for sentence in sentences))


def some(settings: Scoring, first: int, count: int = 30) -> Sent:
    """Send readings of thirty devices."""
    numbers = range(first, first + count)
    return send(settings, [reading(n, device=f"device-{n % 30}") for n in numbers])
