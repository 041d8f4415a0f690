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

from contract.wire.events import Model
from contract.wire.progress import Agreement, Lag, Progress
from contract.wire.values.times import moment
from streaming.models.answering import CANARY_GUARD, GUARD, SHADOW, agreed_with, asked_of
from streaming.query.lag import Follower
from streaming.steps.metrics import DEAD_LETTERS, SCORED, UNTIL, Figures

_HEARD = (SHADOW, GUARD, CANARY_GUARD)
_COUNTS = (SCORED, DEAD_LETTERS, *(of(step) for step in _HEARD for of in (asked_of, agreed_with)))


class Reporter(StreamingQueryListener):
    """Tells `publish` the figures of each micro-batch, once it is committed.

    Spark calls it beside the query, so that it delays no batch. `noted` says what only the batch
    itself knows: the model that scored it and what its steps did.
    """

    def __init__(
        self, query: str, publish: Callable[[Progress], object], follower: Follower
    ) -> None:
        self._query, self._publish, self._follower = query, publish, follower
        self.paced: Callable[[int, float], object] = lambda rows, seconds: None
        """Called with the rows of each micro-batch and the seconds that it took."""
        self.beat: Callable[[], object] = lambda: None
        """Called whenever the query goes on."""
        self._noted: dict[int, tuple[Model, Figures, float]] = {}
        self._ended = threading.Event()

    def noted(self, batch: int, model: Model, figures: Figures, registry_silent_s: float) -> None:
        """Keep this until Spark reports the batch."""
        self._noted[batch] = (model, figures, registry_silent_s)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        """A micro-batch was committed, or none came for a while."""
        self.beat()
        report = json.loads(event.progress.json)
        if report["batchId"] not in self._noted:
            return
        model, figures, silent_s = self._noted.pop(report["batchId"])
        pace = _once(report, figures) * report.get("processedRowsPerSecond", 0.0)
        lag = self._follower.after(report, figures, pace)
        told = progress(self._query, report, model, figures, lag, silent_s)
        self.paced(told.rows, told.durations_ms["triggerExecution"] / 1000)
        self._publish(told)

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        """Nothing to tell yet."""

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        """No reading came for a second."""
        self.beat()
        self._follower.settle()

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        """Everything was told."""
        self._follower.settle()
        self._ended.set()

    def drained(self, seconds: float) -> bool:
        """Wait until everything was told of a query that ended; False if that takes longer."""
        return self._ended.wait(seconds)


def progress(
    query: str,
    report: dict[str, Any],
    model: Model,
    figures: Figures,
    lag: Lag,
    registry_silent_s: float = 0.0,
) -> Progress:
    """The figures of a micro-batch, from what Spark and its steps say of it.

    Durations are those of the steps, summed over the workers, and Spark's own.
    """
    scored, dead_letters = (round(figures.get(name, 0)) for name in (SCORED, DEAD_LETTERS))
    once = _once(report, figures)
    steps = {name: seconds * 1000 for name, seconds in figures.items()}
    durations = {**steps, **report["durationMs"]}
    return Progress(
        query=query,
        batch=report["batchId"],
        time=moment(report["timestamp"]),
        rows=scored + dead_letters,
        scored=scored,
        dead_letters=dead_letters,
        input_per_s=once * report.get("inputRowsPerSecond", 0.0),
        processed_per_s=once * report.get("processedRowsPerSecond", 0.0),
        durations_ms={
            name: round(milliseconds)
            for name, milliseconds in durations.items()
            if name not in _COUNTS and not name.startswith(UNTIL)
        },
        model=model,
        lag=lag,
        opinions={
            step: Agreement(round(figures[asked_of(step)]), round(figures[agreed_with(step)]))
            for step in _HEARD
            if figures.get(asked_of(step))
        },
        registry_silent_s=round(registry_silent_s, 3),
    )


def _once(report: dict[str, Any], figures: Figures) -> float:
    """Readings answered for each row that Spark counts: an engine may read a reading twice."""
    answered = figures.get(SCORED, 0) + figures.get(DEAD_LETTERS, 0)
    return float(answered / max(report["numInputRows"], 1))
