"""Publishes the metrics of each micro-batch as an event on the progress topic."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from contract.wire.events import Model
from contract.wire.progress import Agreement, Lag, Progress
from contract.wire.values.times import moment
from streaming.query.lag import Follower
from streaming.steps.metrics import BatchMetrics


class Reporter:
    """Passes the metrics of each micro-batch to `publish` once it is committed.

    It listens to Spark's events (`streaming.spark.events`). `note` adds what Spark does not know:
    the model that scored the batch and the metrics of its steps.
    """

    def __init__(
        self, query: str, publish: Callable[[Progress], object], follower: Follower
    ) -> None:
        self._query, self._publish, self._follower = query, publish, follower
        self.adjust_pace: Callable[[int, float], object] = lambda rows, seconds: None
        """Called with the number of rows and the seconds of each micro-batch."""
        self.beat: Callable[[], object] = lambda: None
        """Called whenever the query makes progress."""
        self._notes: dict[int, tuple[Model, BatchMetrics, float]] = {}
        self._ended = threading.Event()

    def note(
        self, batch: int, model: Model, metrics: BatchMetrics, registry_silent_s: float
    ) -> None:
        """Keep this until Spark reports the batch."""
        self._notes[batch] = (model, metrics, registry_silent_s)

    def on_start(self, query: str, name: str | None) -> None:
        """Nothing to report yet."""

    def on_progress(self, report: dict[str, Any]) -> None:
        """Publish the progress of a micro-batch that was committed."""
        self.beat()
        if report["batchId"] not in self._notes:
            return
        model, metrics, silent_s = self._notes.pop(report["batchId"])
        pace = _once(report, metrics) * report.get("processedRowsPerSecond", 0.0)
        lag = self._follower.after(report, metrics.latest, pace)
        event_of_batch = progress(self._query, report, model, metrics, lag, silent_s)
        seconds = event_of_batch.durations_ms["triggerExecution"] / 1000
        self.adjust_pace(event_of_batch.rows, seconds)
        self._publish(event_of_batch)

    def on_idle(self, query: str) -> None:
        """Commit offsets: no reading has arrived for a second."""
        self.beat()
        self._follower.commit()

    def on_end(self) -> None:
        """Commit offsets: all events of the query have been reported."""
        self._follower.commit()
        self._ended.set()

    def drain(self, seconds: float) -> bool:
        """Wait until all events of a query that ended are reported; False after `seconds`."""
        return self._ended.wait(seconds)


def progress(
    query: str,
    report: dict[str, Any],
    model: Model,
    metrics: BatchMetrics,
    lag: Lag,
    registry_silent_s: float = 0.0,
) -> Progress:
    """The progress event of a micro-batch, from Spark's report and the metrics of the steps.

    Durations are those of the steps, summed over the workers, and Spark's.
    """
    once = _once(report, metrics)
    steps = {name: seconds * 1000 for name, seconds in metrics.seconds.items()}
    durations = {**steps, **report["durationMs"]}
    return Progress(
        query=query,
        batch=report["batchId"],
        time=moment(report["timestamp"]),
        rows=metrics.answered,
        scored=metrics.scored,
        dead_letters=metrics.dead_letters,
        input_per_s=once * report.get("inputRowsPerSecond", 0.0),
        processed_per_s=once * report.get("processedRowsPerSecond", 0.0),
        durations_ms={name: round(milliseconds) for name, milliseconds in durations.items()},
        model=model,
        lag=lag,
        opinions={
            step: Agreement(agreement.readings, agreement.same)
            for step, agreement in metrics.agreements.items()
            if agreement.readings
        },
        registry_silent_s=round(registry_silent_s, 3),
    )


def _once(report: dict[str, Any], metrics: BatchMetrics) -> float:
    """Answered readings per row that Spark counts: an engine may read a reading twice."""
    return float(metrics.answered / max(report["numInputRows"], 1))
