"""Accounts for every reading by partition and offset: each has one score or one dead letter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from kafka.consumer.fetcher import ConsumerRecord

from contract.home.checkpoint import Positions
from contract.wire.dead_letters import place_of
from contract.wire.headers import ID, OFFSET, REPLAY_OF, Headers, optional, required
from contract.wire.places import Source
from contract.wire.reasons import BadReading
from contract.wire.topics import Topics
from digitstream.accounts.foreign import Foreign
from digitstream.accounts.ledger import Kind, Ledger, Offsets, Partition, Spans, Topic
from digitstream.accounts.topic_reader import TopicReader

AnswerIds = Mapping[str, Collection[str | None]]
"""By topic the topic ids in the answers to its readings; None stands for an answer without one."""

__all__ = ["Mark", "Partition", "Reconciliation", "counted", "reconcile"]


@dataclass(frozen=True)
class Mark:
    """A moment: the offset of the next record in each partition of these topics."""

    readings: Positions
    labels: Positions
    scores: Positions
    dead_letters: Positions
    replays: Positions = field(default_factory=dict)

    @classmethod
    def now(cls, reader: TopicReader, topics: Topics) -> Mark:
        """The current ends of the topics."""
        names = (
            topics.readings,
            topics.labels,
            topics.scores,
            topics.dead_letters,
            topics.replays,
        )
        return cls(*(reader.end(name) for name in names))

    @property
    def sent(self) -> int:
        """Readings before the mark."""
        return sum(self.readings.values())

    @property
    def answered(self) -> int:
        """Answers before the mark, repeated ones included."""
        return sum(self.scores.values()) + sum(self.dead_letters.values())


@dataclass(frozen=True)
class Reconciliation:
    """What became of the readings of a topic, and of the replays of some of them.

    Unanswered readings before the last answered one are missing; those after it are in flight. A
    dead-lettered reading stays one even if a replay of it, which is a record with its own answer,
    was scored: it then counts as `recovered` too.
    """

    topic: str
    partitions: list[Partition]
    replays: list[Partition] = field(default_factory=list)
    earlier: int = 0
    """Answers to readings of an earlier topic of that name; they count nowhere else."""
    foreign: Foreign = field(default_factory=Foreign)
    """Records on the topics of answers that are not answers."""

    def total(self, count: str) -> int:
        """A count, summed over the partitions of the readings."""
        return sum(getattr(partition, count) for partition in self.partitions)

    @property
    def complete(self) -> bool:
        """Whether no reading and no replay is missing."""
        return not any(part.missing for part in (*self.partitions, *self.replays))


def reconcile(
    reader: TopicReader,
    topics: Topics,
    since: Mark | None = None,
    committed: Mapping[int, int] | None = None,
    committed_replays: Mapping[int, int] | None = None,
    ids: AnswerIds | None = None,
) -> Reconciliation:
    """Account for the readings sent after `since` (else all still in Kafka) up to now.

    `committed` are the scoring query's offsets in its checkpoint: an unanswered reading before them
    is missing. If they are not known, the last answer of the partition takes their place. With
    `ids` an answer counts only if it names one of its topic's ids. Other records count as
    `foreign`. Raises TopicMissing and BrokerUnavailable.
    """
    mark = since or Mark({}, {}, {}, {})
    ledger = Ledger(
        _spans(reader, topics.readings, mark.readings), _spans(reader, topics.replays, mark.replays)
    )
    kinds: tuple[tuple[Kind, str, Positions], ...] = (
        ("score", topics.scores, mark.scores),
        ("dead letter", topics.dead_letters, mark.dead_letters),
    )
    earlier, foreign = 0, Foreign()
    for kind, topic, start in kinds:
        for records in reader.records(topic, start):
            answers = answered_places(kind, records, topics, ids or {}, foreign)
            ledger.note_answers(kind, answers.readings)
            ledger.note_replay_answers(kind, answers.replays)
            earlier += answers.earlier
    reconciliation = counted(
        topics.readings,
        ledger,
        absent=_absent(reader, topics.readings, ledger.readings),
        absent_replays=_absent(reader, topics.replays, ledger.replays),
        committed=committed or {},
        committed_replays=committed_replays or {},
    )
    return replace(reconciliation, earlier=earlier, foreign=foreign)


def counted(
    topic: str,
    ledger: Ledger,
    absent: Mapping[int, Offsets],
    absent_replays: Mapping[int, Offsets],
    committed: Mapping[int, int],
    committed_replays: Mapping[int, int],
) -> Reconciliation:
    """The totals of a ledger with all answers. By partition, there is no record at the `absent`
    offsets, and every record before the `committed` offset should have an answer.
    """
    nothing, repeated = np.empty(0, np.int64), ledger.duplicate_ids()
    return Reconciliation(
        topic,
        [
            ledger.readings.account(
                part, absent.get(part, nothing), committed.get(part), repeated.get(part, 0)
            )
            for part in ledger.readings.partitions
        ],
        [
            ledger.replays.account(
                part, absent_replays.get(part, nothing), committed_replays.get(part)
            )
            for part in ledger.replays.partitions
        ],
    )


class Answered(NamedTuple):
    """The places of the readings and replays that some records answer."""

    readings: Offsets
    """Partition and offset of each reading (N, 2)."""
    replays: Offsets
    """Partition and offset of each replay, then of its reading (M, 4)."""
    earlier: int
    """The number of answers to readings of an earlier topic of that name."""


def answered_places(
    kind: Kind,
    records: Sequence[ConsumerRecord],
    topics: Topics,
    ids: AnswerIds,
    foreign: Foreign,
) -> Answered:
    """The places that these scores or dead letters answer, by their headers alone; adds other
    records to `foreign`.

    Whoever may write to a topic must not be able to hide its other records.
    """

    def is_earlier(place: Source) -> bool:
        return place.topic in ids and place.topic_id not in ids[place.topic]

    readings, replays, earlier = [], [], 0
    for record in records:
        try:
            answered = _answered_record(record, kind)
            first = _first(record.headers) if answered.topic == topics.replays else None
        except (BadReading, ArithmeticError, LookupError, TypeError, ValueError):
            foreign.add(record.topic, record.partition, record.offset)
            continue
        if answered.topic not in topics.answered:
            continue
        if is_earlier(answered):
            earlier += answered.topic == topics.readings
        elif answered.topic == topics.readings:
            readings.append(answered[1:3])
        elif first is None or first.topic != topics.readings or is_earlier(first):
            # A record there that is no replay has a dead letter that names no reading.
            replays.append((*answered[1:3], -1, -1))
        else:
            replays.append((*answered[1:3], *first[1:3]))
    return Answered(
        np.array(readings, np.int64).reshape(-1, 2),
        np.array(replays, np.int64).reshape(-1, 4),
        earlier,
    )


def _answered_record(record: ConsumerRecord, kind: Kind) -> Source:
    """The place of the record that an answer is for."""
    if kind == "score" and not record.value:
        message = "it has no value"
        raise ValueError(message)
    headers = record.headers
    values = dict(headers)
    if OFFSET in values:
        return place_of(headers)
    if len(values) < len(headers):  # a name comes twice
        return Source.of(required(headers, ID))
    return Source.of((values[ID] or b"").decode())


def _first(headers: Headers) -> Source | None:
    """The original reading of a replay; None if its answer names none."""
    id = optional(headers, REPLAY_OF) or optional(headers, ID)
    return None if id is None else Source.of(id)


def _spans(reader: TopicReader, topic: str, since: Positions) -> Spans:
    first, end = reader.first(topic), reader.end(topic)
    return {part: (max(begin, since.get(part, 0)), end[part]) for part, begin in first.items()}


def _absent(reader: TopicReader, topic: str, counts: Topic) -> dict[int, Offsets]:
    """The offsets without an answer and without a record, such as a transaction's marks."""
    suspects = {part: counts.unanswered(part) for part in counts.partitions}
    suspects = {part: offsets for part, offsets in suspects.items() if len(offsets)}
    if not suspects:
        return {}
    start = {part: int(offsets[0]) for part, offsets in suspects.items()}
    stop = {part: int(offsets[-1]) + 1 for part, offsets in suspects.items()}
    there = {part: np.zeros(stop[part] - begin, bool) for part, begin in start.items()}
    for records in reader.records(topic, start, stop):
        for record in records:
            there[record.partition][record.offset - start[record.partition]] = True
    return {
        part: offsets[~there[part][offsets - start[part]]] for part, offsets in suspects.items()
    }
