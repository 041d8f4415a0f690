"""Accounts for every reading, one score or one dead letter each, by partition and offset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from kafka.consumer.fetcher import ConsumerRecord
from numpy.typing import NDArray

from contract import headers
from contract.messages import expecting
from contract.topics import Topics
from digitstream.consumer import Positions, TopicReader

Counts = NDArray[np.int64]
LISTED_GAPS = 1000
"""Gaps of a partition that a report lists; `missing` counts them all."""


@dataclass(frozen=True)
class Mark:
    """A moment: where the next record of each partition of these topics will lie."""

    readings: Positions
    labels: Positions
    scores: Positions
    dead_letters: Positions

    @classmethod
    def now(cls, reader: TopicReader, topics: Topics) -> Mark:
        """The ends of the topics as they are."""
        names = (topics.readings, topics.labels, topics.scores, topics.dead_letters)
        return cls(*(reader.end(name) for name in names))

    @property
    def sent(self) -> int:
        """Readings before the mark."""
        return sum(self.readings.values())

    @property
    def answered(self) -> int:
        """Answers before the mark, those that came twice twice."""
        return sum(self.scores.values()) + sum(self.dead_letters.values())


@dataclass(frozen=True)
class Partition:
    """What became of one partition's readings; `gaps` are the missing ones as (first, last)."""

    partition: int
    produced: int
    scored: int
    dead_lettered: int
    in_flight: int
    missing: int
    duplicates: int
    gaps: list[tuple[int, int]]


@dataclass(frozen=True)
class Reconciliation:
    """What became of the readings of a topic.

    Readings behind the last one that was answered are missing; those after it are in flight. A
    reading answered more than once counts once as scored or dead-lettered, its other answers as
    duplicates (which carry the same id).
    """

    topic: str
    partitions: list[Partition]

    def total(self, count: str) -> int:
        """A count, summed over the partitions."""
        return sum(getattr(partition, count) for partition in self.partitions)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.total("missing") == 0


def reconcile(
    reader: TopicReader,
    topics: Topics,
    since: Mark | None = None,
    committed: Mapping[int, int] | None = None,
) -> Reconciliation:
    """Account for the readings sent after `since` (else all that are still there) up to now.

    `committed` is where the scoring query stands by its checkpoint: an unanswered reading before it
    is missing. Where that is not known, the last answer of the partition takes its place. Raises
    TopicMissing and BrokerUnavailable.
    """
    first, end = reader.first(topics.readings), reader.end(topics.readings)
    mark = since or Mark({}, {}, {}, {})
    begin = {part: max(offset, mark.readings.get(part, 0)) for part, offset in first.items()}
    scores = reader.records(topics.scores, mark.scores)
    scored = _counted(scores, topics.readings, begin, end)
    letters = reader.records(topics.dead_letters, mark.dead_letters)
    dead = _counted(letters, topics.readings, begin, end)
    unanswered = {
        part: begin[part] + np.flatnonzero((scored[part] + dead[part]) == 0) for part in end
    }
    empty = _absent(reader, topics.readings, unanswered)
    partitions = []
    for part in sorted(end):
        absent = empty.get(part, np.empty(0, np.int64))
        stands = (committed or {}).get(part)
        partitions.append(accounted(part, begin[part], scored[part], dead[part], absent, stands))
    return Reconciliation(topics.readings, partitions)


def accounted(
    part: int, begin: int, scored: Counts, dead: Counts, absent: Counts, stands: int | None
) -> Partition:
    """What became of the readings of one partition from offset `begin` on.

    `scored` and `dead` say how many scores and dead letters each offset has, `absent` at which
    offsets there is no reading. Up to `stands` all should be answered; if that is not known, up to
    the last one that is.
    """
    answers = scored + dead
    unanswered = begin + np.flatnonzero(answers == 0)
    if stands is None:
        answered = np.flatnonzero(answers)
        stands = begin + (int(answered[-1]) + 1 if len(answered) else 0)
    open_ = np.setdiff1d(unanswered, absent)
    missing = open_[open_ < stands]
    return Partition(
        partition=part,
        produced=len(answers) - len(unanswered) + len(open_),
        scored=int(np.count_nonzero(scored)),
        dead_lettered=int(np.count_nonzero((dead > 0) & (scored == 0))),
        in_flight=len(open_) - len(missing),
        missing=len(missing),
        duplicates=int(np.maximum(answers - 1, 0).sum()),
        gaps=_runs(missing)[:LISTED_GAPS],
    )


def _counted(
    answers: Iterable[list[ConsumerRecord]], readings: str, begin: Positions, end: Positions
) -> dict[int, Counts]:
    """How many of these answers each reading has, by partition, from offset `begin` on."""
    counts = {part: np.zeros(max(end[part] - begin[part], 0), np.int64) for part in end}
    for records in answers:
        found = _sources(records, readings.encode())
        for part in np.unique(found[:, 0]).tolist():
            if part in counts:
                offsets = found[found[:, 0] == part, 1] - begin[part]
                inside = offsets[(offsets >= 0) & (offsets < len(counts[part]))]
                counts[part] += np.bincount(inside, minlength=len(counts[part]))
    return counts


def _sources(records: Iterable[ConsumerRecord], readings: bytes) -> Counts:
    """Partition and offset (N, 2) of the readings that these scores or dead letters answer."""
    found = []
    with expecting("score or dead letter"):
        for record in records:
            named = dict(record.headers)
            if headers.OFFSET in named:
                topic, part, offset = (
                    named[name] for name in (headers.TOPIC, headers.PARTITION, headers.OFFSET)
                )
            else:
                topic, part, offset = named[headers.ID].rsplit(b"/", 2)
            if topic == readings:
                found.append((int(part), int(offset)))
    return np.array(found, np.int64).reshape(-1, 2)


def _absent(reader: TopicReader, topic: str, suspects: Mapping[int, Counts]) -> dict[int, Counts]:
    """The offsets among the suspects at which there is no record: a transaction's marks, say."""
    start = {part: int(offsets[0]) for part, offsets in suspects.items() if len(offsets)}
    if not start:
        return {}
    there: dict[int, list[int]] = {part: [] for part in start}
    nothing = reader.end(topic)
    for records in reader.records(topic, {**nothing, **start}):
        for record in records:
            there[record.partition].append(record.offset)
    return {part: np.setdiff1d(suspects[part], there[part]) for part in start}


def _runs(offsets: Counts) -> list[tuple[int, int]]:
    """Ascending offsets as runs, first and last of each."""
    breaks = np.flatnonzero(np.diff(offsets) > 1) + 1
    return [(int(run[0]), int(run[-1])) for run in np.split(offsets, breaks) if len(run)]
