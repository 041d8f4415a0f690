"""Each micro-batch's figures as an event on the progress topic."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from contract.events import Model
from contract.progress import Opinion, Progress
from contract.times import moment
from streaming.parts import CANARY_GUARD, GUARD, SHADOW, agreed_with, asked_of
from streaming.tally import DEAD_LETTERS, SCORED, Figures

_HEARD = (SHADOW, GUARD, CANARY_GUARD)
_COUNTS = (SCORED, DEAD_LETTERS, *(of(step) for step in _HEARD for of in (asked_of, agreed_with)))


class Reporter(StreamingQueryListener):
    """Tells `publish` the figures of each micro-batch, once it is committed.

    Spark calls it beside the query, so that it delays no batch. `noted` says what only the batch
    itself knows: the model that scored it and what its steps did.
    """

    def __init__(self, query: str, publish: Callable[[Progress], object]) -> None:
        self._query, self._publish = query, publish
        self._noted: dict[int, tuple[Model, Figures]] = {}
        self._ended = threading.Event()

    def noted(self, batch: int, model: Model, figures: Figures) -> None:
        """Keep this until Spark reports the batch."""
        self._noted[batch] = (model, figures)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        """A micro-batch was committed, or none came for a while."""
        report = json.loads(event.progress.json)
        if report["batchId"] in self._noted:
            self._publish(progress(self._query, report, *self._noted.pop(report["batchId"])))

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        """Nothing to tell yet."""

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        """Nothing to tell."""

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        """Everything was told."""
        self._ended.set()

    def drained(self, seconds: float) -> bool:
        """Wait until everything was told of a query that ended; False if that takes longer."""
        return self._ended.wait(seconds)


def progress(query: str, report: dict[str, Any], model: Model, figures: Figures) -> Progress:
    """The figures of a micro-batch, from what Spark and its steps say of it.

    Durations are those of the steps, summed over the workers, and Spark's own. Spark counts a row
    each time that it is read; an engine may read twice, a reading is answered once.
    """
    scored, dead_letters = (round(figures.get(name, 0)) for name in (SCORED, DEAD_LETTERS))
    rows = scored + dead_letters
    once = rows / max(report["numInputRows"], 1)
    steps = {name: seconds * 1000 for name, seconds in figures.items()}
    durations = {**steps, **report["durationMs"]}
    return Progress(
        query=query,
        batch=report["batchId"],
        time=moment(report["timestamp"]),
        rows=rows,
        scored=scored,
        dead_letters=dead_letters,
        behind=sum(behind(source) for source in report["sources"]),
        input_per_s=once * report.get("inputRowsPerSecond", 0.0),
        processed_per_s=once * report.get("processedRowsPerSecond", 0.0),
        durations_ms={
            name: round(milliseconds)
            for name, milliseconds in durations.items()
            if name not in _COUNTS
        },
        model=model,
        opinions={
            step: Opinion(round(figures[asked_of(step)]), round(figures[agreed_with(step)]))
            for step in _HEARD
            if figures.get(asked_of(step))
        },
    )


def behind(source: dict[str, Any]) -> int:
    """Records of Kafka after those of the micro-batch, in all partitions of a source."""
    latest, end = source["latestOffset"], source["endOffset"]
    return sum(
        latest[topic][partition] - reached
        for topic, partitions in end.items()
        for partition, reached in partitions.items()
    )
