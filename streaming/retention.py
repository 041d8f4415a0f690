"""Readings that Kafka forgot before they were answered: told by offset, and skipped if asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract import checkpoint
from contract.log import Log
from streaming.failures import ReadingsLost


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
        """What was forgotten, in words."""
        if self.stands is None or self.first <= self.stands <= self.end:
            return None
        where = f"{self.topic}/{self.number}"
        if self.stands > self.end:
            return f"{where} ends at {self.end}, before {self.stands}, so it was made anew"
        return f"{where} from {self.stands} to {self.first - 1} ({self.first - self.stands})"

    @property
    def begin(self) -> int:
        """Where a query goes on that skips what was forgotten."""
        return self.first if self.stands is None or self.lost else self.stands


def partitions(log: Log, folder: Path, topics: Sequence[str]) -> Iterator[Partition]:
    """Every partition of the topics, for the query with this checkpoint."""
    end = log.end(topics)
    for topic, first in sorted(log.first(topics).items()):
        stands = checkpoint.committed(folder, topic) or {}
        for number, oldest in sorted(first.items()):
            yield Partition(topic, number, stands.get(number), oldest, end[topic][number])


def whole(found: Sequence[Partition]) -> None:
    """Raise ReadingsLost that lists what was forgotten, if anything."""
    lost = [each.lost for each in found if each.lost]
    if lost:
        message = (
            f"Kafka no longer has readings that were not answered yet: {'; '.join(lost)}. Its "
            f"retention was faster than the query. Scoring never skips a reading in silence. Start "
            f"it once with --skip-lost to go on without them."
        )
        raise ReadingsLost(message)


def skipped(found: Sequence[Partition], folder: Path) -> str:
    """Put the checkpoint aside; returns where a new one begins, as Spark takes it."""
    begin: dict[str, dict[int, int]] = {}
    for each in found:
        begin.setdefault(each.topic, {})[each.number] = each.begin
    folder.rename(folder.with_name(f"{folder.name}.lost-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"))
    folder.mkdir()
    return json.dumps(begin)
