"""How far the query is behind its topics, and whether it will catch up in time.

Spark commits no offsets to Kafka, so that no tool there sees how far a query is: we do both.
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

# Kafka is asked and told at most this often, and of what seldom changes this often.
_PAUSE_SECONDS, _SELDOM_SECONDS = 1.0, 60.0


@dataclass(eq=False)
class Follower:
    """Keeps a group in Kafka where the query is, and says what that means.

    What Kafka does not answer is not known until it does: figures stop no query.
    """

    log: Log
    group: str
    latest: dict[Partition, float] = field(default_factory=dict)
    """Partition -> when Kafka stored the last reading that was answered, in seconds since 1970."""
    _first: Offsets = field(default_factory=dict)
    _retention: float | None = None
    _asked: float = 0.0
    _asked_seldom: float = 0.0
    _before: tuple[float, int] | None = None
    _reached: Offsets | None = None

    def after(
        self, report: Mapping[str, Any], times: Mapping[Partition, float], pace: float
    ) -> Lag:
        """The lag after a micro-batch, from Spark's report, the times of its last readings by
        partition, and readings a second.
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

    def settle(self) -> None:
        """Tell Kafka how far the query is, if that is more than it was told."""
        if self._reached is not None:
            try:
                self.log.commit(self.group, self._reached)
                self._reached = None
            except KafkaError:
                return

    def _ask(self, now: float, end: Offsets) -> None:
        self._reached = end
        if 0 <= now - self._asked < _PAUSE_SECONDS:  # the clock may have been put back
            return
        self._asked = now
        self.settle()
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
        """Readings a second that came since the last micro-batch."""
        total = sum(sum(partitions.values()) for partitions in latest.values())
        then, before = self._before or (now, total)
        self._before = (now, total)
        return (total - before) / (now - then) if now > then else 0.0

    def _headroom(self, end: Offsets) -> int | None:
        """Readings between the oldest that Kafka keeps, where it forgets some, and the query."""
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
