"""The scoring query: each micro-batch through the steps, by one model, to its answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from contract.topics import Topics
from streaming.champion import Champion, Champions
from streaming.decode import decoded
from streaming.progress import Reporter
from streaming.publish import COLUMNS, Publishing, published
from streaming.scale import scaled
from streaming.score import scored
from streaming.sink import written
from streaming.source import bounded
from streaming.steps import through
from streaming.tally import DEAD_LETTERS, SCORED, Tally
from streaming.validate import validated

Clock = Callable[[], datetime]

_GLANCE_SECONDS = 0.05


def answers(
    readings: DataFrame, champion: Champion, topics: Topics, figures: Tally, clock: Clock
) -> DataFrame:
    """The one answer to each reading of a micro-batch, a score or a dead letter, for the sink."""
    manifest = champion.bundle.manifest
    shape, classes = manifest.input_shape, manifest.classes
    records = bounded(readings, shape)
    checks = {
        "decode": partial(decoded, shape=shape, topics=topics),
        "validate": partial(validated, shape=shape),
        "scale": partial(scaled, shape=shape, scaling=manifest.scaling),
    }
    scorer = champion.engine.scorer(records, checks, figures)
    score = partial(scored, model=champion.title, scorer=scorer, classes=len(classes))
    publishing = Publishing(topics, champion.model, classes, clock, figures)
    publish = partial(published, publishing=publishing)
    steps = through({**checks, "score": score}, "publish", publish, figures)
    return records.mapInArrow(steps, COLUMNS)


class Stopping(Exception):
    """Ends the query before a micro-batch that would have been the next."""


@dataclass(eq=False)
class Query:
    """What happens to each micro-batch, and how far that is.

    A micro-batch is committed by Spark after its answers are in Kafka: at least once, with the same
    ids if again. `failure` is what ended it, `answered` the readings that were answered so far.
    """

    champions: Champions
    bootstrap_servers: str
    topics: Topics
    figures: Tally
    reporter: Reporter
    clock: Clock
    stop: threading.Event
    answered: dict[str, int] = field(default_factory=lambda: {SCORED: 0, DEAD_LETTERS: 0})
    failure: Exception | None = None
    _running: bool = False
    _finished: int = -1

    def started(
        self, readings: DataFrame, name: str, checkpoint: Path, *, available_now: bool
    ) -> StreamingQuery:
        """The query on these readings; `available_now` ends it with the last that is there."""
        trigger = {"availableNow": True} if available_now else {"processingTime": "0 seconds"}
        writer = readings.writeStream.queryName(name).trigger(**trigger)
        return (
            writer.option("checkpointLocation", str(checkpoint)).foreachBatch(self._batch).start()
        )

    def follow(self, query: StreamingQuery) -> None:
        """Return when the query ended by itself, or was stopped after the micro-batch that ran."""
        while query.isActive and not self.stop.wait(4 * _GLANCE_SECONDS):
            pass
        while query.isActive and not self._between_batches(query):
            threading.Event().wait(_GLANCE_SECONDS)
        query.stop()

    def _between_batches(self, query: StreamingQuery) -> bool:
        """Whether all that was answered is committed; with `stop` set, nothing new begins."""
        if self._running:
            return False
        last = query.lastProgress
        return self._finished < 0 or (last is not None and last["batchId"] >= self._finished)

    def _batch(self, readings: DataFrame, batch: int) -> None:
        self._running = True
        try:
            if self.stop.is_set():
                raise Stopping
            champion = self.champions.current()
            self.figures.value = {}
            found = answers(readings, champion, self.topics, self.figures, self.clock)
            written(found, self.bootstrap_servers)
            self.reporter.noted(batch, champion.model, self.figures.value)
            for name in self.answered:
                self.answered[name] += round(self.figures.value.get(name, 0))
            self._finished = batch
        except Exception as exc:
            self.failure = self.failure or exc
            raise
        finally:
            self._running = False
