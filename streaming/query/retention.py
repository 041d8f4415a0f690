"""Unanswered readings that Kafka no longer has: listed by offset, and skipped only on request."""

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
    """A partition: the query's next offset (None if it has not begun), and Kafka's first and end
    offsets.
    """

    topic: str
    number: int
    next: int | None
    first: int
    end: int

    @property
    def lost(self) -> str | None:
        """What Kafka no longer has, in words; None if nothing is lost."""
        if self.next is None or self.first <= self.next <= self.end:
            return None
        where = f"{self.topic}/{self.number}"
        if self.next > self.end:
            return f"{where} ends at {self.end}, but the query has answered it up to {self.next}"
        return f"{where} from {self.next} to {self.first - 1} ({self.first - self.next})"

    @property
    def begin(self) -> int:
        """The offset where a query continues that skips lost readings."""
        return self.first if self.next is None or self.lost else self.next


def partitions(
    log: Log, positions: TopicPositions, topics: Sequence[str], recreated: Collection[str]
) -> Iterator[Partition]:
    """All partitions of the topics, for a query at these positions. Positions in topics that were
    `recreated` are ignored.
    """
    end = log.end(topics)
    for topic, first in sorted(log.first(topics).items()):
        offsets = {} if topic in recreated else positions.get(topic, {})
        for number, oldest in sorted(first.items()):
            yield Partition(topic, number, offsets.get(number), oldest, end[topic][number])


def check_nothing_lost(partitions: Sequence[Partition]) -> None:
    """Raise RecordsLost with a list of what was lost, if anything."""
    lost = [partition.lost for partition in partitions if partition.lost]
    if lost:
        message = (
            f"Kafka no longer has readings that were not answered yet: {'; '.join(lost)}. Its "
            f"retention removed them before they were read, or Kafka lost data. Scoring never "
            f"skips readings silently. Start it once with --skip-lost to continue without them."
        )
        raise RecordsLost(message)


def skip(partitions: Sequence[Partition], folder: Path) -> str:
    """Move the checkpoint away; returns the starting offsets of a new one in Spark's format."""
    begin: dict[str, dict[int, int]] = {}
    for partition in partitions:
        begin.setdefault(partition.topic, {})[partition.number] = partition.begin
    folder.rename(folder.with_name(f"{folder.name}.lost-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"))
    folder.mkdir()
    return json.dumps(begin)
