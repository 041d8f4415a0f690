"""The scoring query: each micro-batch through the steps, by one model, to its answers."""

from __future__ import annotations

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
from streaming.stopping import Batches
from streaming.tally import DEAD_LETTERS, SCORED, Tally
from streaming.validate import validated

Clock = Callable[[], datetime]


def answers(
    readings: DataFrame, champion: Champion, topics: Topics, figures: Tally, clock: Clock
) -> DataFrame:
    """The one answer to each reading of a micro-batch, a score or a dead letter, for the sink."""
    manifest = champion.bundle.manifest
    shape, classes = manifest.input_shape, manifest.classes
    records = bounded(readings, shape)
    checks = {
        "decode": partial(decoded, shape=shape),
        "validate": partial(validated, shape=shape),
        "scale": partial(scaled, shape=shape, scaling=manifest.scaling),
    }
    scorer = champion.engine.scorer(records, checks, figures)
    score = partial(scored, model=champion.title, scorer=scorer, classes=len(classes))
    publishing = Publishing(topics, champion.model, classes, clock, figures)
    publish = partial(published, publishing=publishing)
    steps = through({**checks, "score": score}, "publish", publish, figures)
    return records.mapInArrow(steps, COLUMNS)


@dataclass(eq=False)
class Query:
    """What happens to each micro-batch, and how far that is.

    A micro-batch is committed by Spark after its answers are in Kafka: at least once, with the same
    ids if again. `answered` are the readings that were answered so far.
    """

    champions: Champions
    bootstrap_servers: str
    topics: Topics
    figures: Tally
    reporter: Reporter
    clock: Clock
    batches: Batches
    answered: dict[str, int] = field(default_factory=lambda: {SCORED: 0, DEAD_LETTERS: 0})

    def started(
        self, readings: DataFrame, name: str, checkpoint: Path, *, available_now: bool
    ) -> StreamingQuery:
        """The query on these readings; `available_now` ends it with the last that is there."""
        trigger = {"availableNow": True} if available_now else {"processingTime": "0 seconds"}
        writer = readings.writeStream.queryName(name).trigger(**trigger)
        return (
            writer.option("checkpointLocation", str(checkpoint)).foreachBatch(self._batch).start()
        )

    def _batch(self, readings: DataFrame, batch: int) -> None:
        with self.batches.one(batch):
            champion = self.champions.current()
            self.figures.value = {}
            found = answers(readings, champion, self.topics, self.figures, self.clock)
            written(found, self.bootstrap_servers)
            self.reporter.noted(batch, champion.model, self.figures.value)
            for name in self.answered:
                self.answered[name] += round(self.figures.value.get(name, 0))
