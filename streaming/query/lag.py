"""How far the query is behind its topics, and whether it will catch up in time.

Spark commits no offsets to Kafka, so Kafka's tools would not see the lag: this module commits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError

from contract.kafka.offsets import Log, Offsets
from contract.wire.progress import Lag
from contract.wire.values.times import moment
from streaming.steps.metrics import Partition

# Minimum seconds between two requests to Kafka, and between requests for what seldom changes.
_PAUSE_SECONDS, _SELDOM_SECONDS = 1.0, 60.0


@dataclass(eq=False)
class Follower:
    """Commits the query's offsets to a group in Kafka, and computes the lag.

    Errors of Kafka are ignored, and figures are unknown until it answers: they stop no query.
    """

    log: Log
    group: str
    latest: dict[Partition, float] = field(default_factory=dict)
    """Partition -> when Kafka stored the last answered reading, in seconds since the epoch."""
    _first: Offsets = field(default_factory=dict)
    _retention: float | None = None
    _asked: float = 0.0
    _asked_seldom: float = 0.0
    _before: tuple[float, int] | None = None
    _reached: Offsets | None = None

    def after(
        self, report: Mapping[str, Any], times: Mapping[Partition, float], pace: float
    ) -> Lag:
        """The lag after a micro-batch, from Spark's report, the time of the last reading of each
        partition, and the pace in readings per second.
        """
        self.latest |= times
        latest, end = _merged(report, "latestOffset"), _merged(report, "endOffset")
        seconds = report["durationMs"].get("triggerExecution", 0) / 1000
        now = moment(report["timestamp"]).timestamp() + seconds
        self._ask(now, end)
        waits = {
            (topic, partition): latest[topic][partition] - offset
            for topic, partitions in end.items()
            for partition, offset in partitions.items()
        }
        behind, arriving = sum(waits.values()), self._arriving(now, latest)
        ages = [
            now - self.latest[partition]
            for partition, waiting in waits.items()
            if waiting and partition in self.latest
        ]
        lag = max(ages, default=0.0 if behind == 0 else None)
        spare = pace - arriving
        left = None if lag is None or self._retention is None else self._retention - lag
        return Lag(
            readings=behind,
            seconds=None if lag is None else round(max(lag, 0.0), 3),
            drain_s=0.0 if behind == 0 else round(behind / spare, 1) if spare > 0 else None,
            headroom=self._headroom(end),
            overtaken_s=None if left is None else round(left, 1),
        )

    def commit(self) -> None:
        """Commit the query's offsets to Kafka, if they are newer than the last commit."""
        if self._reached is not None:
            try:
                self.log.commit(self.group, self._reached)
                self._reached = None
            except KafkaError:
                return

    def _ask(self, now: float, end: Offsets) -> None:
        self._reached = end
        if 0 <= now - self._asked < _PAUSE_SECONDS:  # the clock may have been set back
            return
        self._asked = now
        self.commit()
        try:
            if not 0 <= now - self._asked_seldom <= _SELDOM_SECONDS:
                self._retention = self.log.retention_s(list(end))
                self._first = self.log.first(end)
                self._asked_seldom = now
            elif self._retention is not None:
                self._first = self.log.first(end)
        except KafkaError:
            return

    def _arriving(self, now: float, latest: Offsets) -> float:
        """Readings per second that arrived since the last micro-batch."""
        total = sum(sum(partitions.values()) for partitions in latest.values())
        then, before = self._before or (now, total)
        self._before = (now, total)
        return (total - before) / (now - then) if now > then else 0.0

    def _headroom(self, end: Offsets) -> int | None:
        """Readings between the oldest in Kafka and the query, in partitions where retention has
        removed some; None if there is none.
        """
        return min(
            (
                end[topic][partition] - oldest
                for topic, partitions in self._first.items()
                for partition, oldest in partitions.items()
                if oldest and partition in end.get(topic, {})
            ),
            default=None,
        )


def _merged(report: Mapping[str, Any], which: str) -> dict[str, dict[int, int]]:
    """Offsets of all sources of a report, by topic and partition."""
    return {
        topic: {int(partition): offset for partition, offset in partitions.items()}
        for source in report["sources"]
        for topic, partitions in (source[which] or {}).items()
    }
