"""What could not be scored, and why."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contract.errors import BadEvent, SettingsError
from contract.wire.events import DeadLetter, Source
from contract.wire.reasons import REASONS, STAGES
from contract.wire.topics import Topics
from contract.wire.values import times
from digitstream.accounts.foreign import Foreign
from digitstream.accounts.topic_reader import TopicReader

_MOST_PLACES = 10
_AGO = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Stored:
    """A dead letter, the time (milliseconds since 1970) at which Kafka has it, and its place."""

    letter: DeadLetter
    time: int
    partition: int
    offset: int


@dataclass(frozen=True)
class Wanted:
    """Which dead letters; what is None or empty does not matter. Raises SettingsError.

    An id in `ids` names a reading: where it, or a replay of it, lies. One that does not name the
    topic's id stands for any topic of that name.
    """

    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    ids: frozenset[Source] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Refuse a stage or a reason that no dead letter has."""
        for name, value, known in (
            ("stage", self.stage, STAGES),
            ("reason", self.reason, tuple(REASONS)),
        ):
            if value is not None and value not in known:
                message = (
                    f"No dead letter has the {name} {value!r}. There are {', '.join(known)}. Give "
                    f"--{name} one of these."
                )
                raise SettingsError(message)

    def takes(self, stored: Stored) -> bool:
        """Whether the letter is one of them."""
        letter = stored.letter
        return (
            self.stage in (None, letter.stage)
            and self.reason in (None, letter.slug)
            and (self.since is None or times.broker_time(stored.time) >= self.since)
            and (not self.ids or self._names(letter.source) or self._names(letter.first))
        )

    def _names(self, place: Source) -> bool:
        return place in self.ids or place._replace(topic_id=None) in self.ids


def since(text: str, now: datetime) -> datetime:
    """The time that `2h` (ago; also s, m, d) or RFC 3339 names; raises SettingsError."""
    ago = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    try:
        return now - timedelta(**{_AGO[ago[2]]: int(ago[1])}) if ago else times.moment(text)
    except (ValueError, OverflowError) as exc:
        message = (
            f"--since {text!r} is no time. It must be how long ago, like 30m, 2h or 7d, or RFC "
            f"3339 with an offset, like 2026-01-31T09:15:00Z. Give it so."
        )
        raise SettingsError(message) from exc


def place(text: str) -> Source:
    """The reading that an argument names; raises SettingsError."""
    try:
        return Source.of(text)
    except ValueError as exc:
        message = (
            f"{text!r} names no reading. An ID is its topic/partition/offset, like "
            f"digits.readings/0/42. `digitstream dead-letters list` shows them."
        )
        raise SettingsError(message) from exc


def letters(
    reader: TopicReader, topics: Topics, foreign: Foreign | None = None
) -> Iterator[Stored]:
    """The dead letters that are in Kafka, each partition in order; what is none goes to `foreign`.

    Whoever may write to the topic must not be able to hide what else lies there.
    """
    foreign = Foreign() if foreign is None else foreign
    for records in reader.records(topics.dead_letters):
        for record in records:
            try:
                letter = DeadLetter.of(record.key, record.value, record.headers)
            except BadEvent:
                foreign.add(topics.dead_letters, record.partition, record.offset)
                continue
            yield Stored(letter, int(record.timestamp), record.partition, record.offset)


@dataclass(frozen=True)
class Listed:
    """A dead letter as it is listed; `bytes` is the size of the original value.

    `id`, topic/partition/offset, is what `show` and `replay` take. `replay_of` is the reading's
    first place if the letter answers a replay.
    """

    id: str
    time: str
    stage: str
    reason: str
    topic: str
    partition: int
    offset: int
    attempt: int
    key: str | None
    bytes: int | None
    replay_of: str | None

    @classmethod
    def of(cls, stored: Stored) -> Listed:
        """How a letter is listed."""
        letter = stored.letter
        return cls(
            id=letter.source.id,
            time=times.broker_time(stored.time).isoformat(timespec="milliseconds"),
            stage=letter.stage,
            reason=letter.reason,
            topic=letter.source.topic,
            partition=letter.source.partition,
            offset=letter.source.offset,
            attempt=letter.attempt,
            key=None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
            bytes=None if letter.value is None else len(letter.value),
            replay_of=None if letter.replay_of is None else letter.replay_of.id,
        )


@dataclass(frozen=True)
class Listing:
    """All dead letters by stage and reason, most frequent first, and the last ones in full; and
    what else lies on their topic.
    """

    total: int
    by_reason: list[tuple[str, str, int]]
    letters: list[Listed]
    foreign: Foreign = field(default_factory=Foreign)


def listing(
    reader: TopicReader, topics: Topics, last: int, wanted: Wanted | None = None
) -> Listing:
    """The dead letters that are wanted (else all); raises TopicMissing."""
    counts: Counter[tuple[str, str]] = Counter()
    newest: dict[int, deque[Listed]] = {}
    foreign = Foreign()
    for stored in letters(reader, topics, foreign):
        if (wanted or Wanted()).takes(stored):
            counts[stored.letter.stage, stored.letter.slug] += 1
            newest.setdefault(stored.partition, deque(maxlen=last)).append(Listed.of(stored))
    ranked = [(stage, reason, count) for (stage, reason), count in counts.most_common()]
    found = sorted((each for few in newest.values() for each in few), key=lambda each: each.time)
    return Listing(counts.total(), ranked, found[-last:] if last else [], foreign)
