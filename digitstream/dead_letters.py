"""What could not be scored, and why."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.events import DeadLetter
from contract.topics import Topics
from digitstream.consumer import TopicReader


@dataclass(frozen=True)
class Listed:
    """A dead letter as it is listed; `bytes` is the size of the original value."""

    time: str
    stage: str
    reason: str
    topic: str
    partition: int
    offset: int
    attempt: int
    key: str | None
    bytes: int | None


@dataclass(frozen=True)
class Listing:
    """All dead letters by stage and reason, most frequent first, and the last ones in full."""

    total: int
    by_reason: list[tuple[str, str, int]]
    letters: list[Listed]


def listing(reader: TopicReader, topics: Topics, last: int) -> Listing:
    """The dead letters that are in Kafka; raises TopicMissing and BadEvent."""
    counts: Counter[tuple[str, str]] = Counter()
    newest: deque[Listed] = deque(maxlen=last)
    for records in reader.records(topics.dead_letters):
        for record in sorted(records, key=lambda record: int(record.timestamp)):
            letter = DeadLetter.of(record.key, record.value, record.headers)
            counts[letter.stage, letter.reason.partition(":")[0]] += 1
            newest.append(_listed(letter, record.timestamp))
    ranked = [(stage, reason, count) for (stage, reason), count in counts.most_common()]
    return Listing(counts.total(), ranked, sorted(newest, key=lambda letter: letter.time))


def _listed(letter: DeadLetter, milliseconds: int) -> Listed:
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return Listed(
        time=time.isoformat(timespec="milliseconds"),
        stage=letter.stage,
        reason=letter.reason,
        topic=letter.source.topic,
        partition=letter.source.partition,
        offset=letter.source.offset,
        attempt=letter.attempt,
        key=None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        bytes=None if letter.value is None else len(letter.value),
    )
