"""Readings that Kafka no longer has, though they were not answered: listed by offset, and skipped
only on request.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.errors import RecordsLost
from contract.home.checkpoint import TopicPositions
from contract.kafka.offsets import Log


@dataclass(frozen=True)
class Partition:
    """Where a query stands in a partition (None before it began), and what Kafka has of that."""

    topic: str
    number: int
    stands: int | None
    first: int
    end: int

    @property
    def lost(self) -> str | None:
        """What Kafka no longer has, in words."""
        if self.stands is None or self.first <= self.stands <= self.end:
            return None
        where = f"{self.topic}/{self.number}"
        if self.stands > self.end:
            return f"{where} ends at {self.end}, but the query has answered it up to {self.stands}"
        return f"{where} from {self.stands} to {self.first - 1} ({self.first - self.stands})"

    @property
    def begin(self) -> int:
        """Where a query goes on that skips what was lost."""
        return self.first if self.stands is None or self.lost else self.stands


def partitions(
    log: Log, stands: TopicPositions, topics: Sequence[str], recreated: Collection[str]
) -> Iterator[Partition]:
    """Every partition of the topics, for a query that stands there. In topics that were `recreated`
    it stands nowhere.
    """
    end = log.end(topics)
    for topic, first in sorted(log.first(topics).items()):
        offsets = {} if topic in recreated else stands.get(topic, {})
        for number, oldest in sorted(first.items()):
            yield Partition(topic, number, offsets.get(number), oldest, end[topic][number])


def check_nothing_lost(partitions: Sequence[Partition]) -> None:
    """Raise RecordsLost that lists what was lost, if anything."""
    lost = [partition.lost for partition in partitions if partition.lost]
    if lost:
        message = (
            f"Kafka no longer has readings that were not answered yet: {'; '.join(lost)}. Its "
            f"retention was faster than the query, or it lost records of its own. Scoring never "
            f"skips a reading in silence. Start it once with --skip-lost to go on without them."
        )
        raise RecordsLost(message)


def skip(partitions: Sequence[Partition], folder: Path) -> str:
    """Put the checkpoint aside; returns where a new one begins, as Spark takes it."""
    begin: dict[str, dict[int, int]] = {}
    for partition in partitions:
        begin.setdefault(partition.topic, {})[partition.number] = partition.begin
    folder.rename(folder.with_name(f"{folder.name}.lost-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"))
    folder.mkdir()
    return json.dumps(begin)
