"""Lists the readings that could not be scored, with the reasons."""

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
    """A dead letter with Kafka's time (milliseconds since 1970) and its place."""

    letter: DeadLetter
    time: int
    partition: int
    offset: int


@dataclass(frozen=True)
class Selection:
    """A filter of dead letters; None or empty matches all. Raises SettingsError.

    An id in `ids` is the place of a reading, or of a replay of it. One without a topic id stands
    for any topic of that name.
    """

    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    ids: frozenset[Source] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Check that the stage and the reason exist."""
        for name, value, choices in (
            ("stage", self.stage, STAGES),
            ("reason", self.reason, tuple(REASONS)),
        ):
            if value is not None and value not in choices:
                message = (
                    f"No dead letter has the {name} {value!r}. There are {', '.join(choices)}. "
                    f"Give --{name} one of these."
                )
                raise SettingsError(message)

    def matches(self, stored: Stored) -> bool:
        """Whether a letter passes the filter."""
        letter = stored.letter
        return (
            self.stage in (None, letter.stage)
            and self.reason in (None, letter.slug)
            and (self.since is None or times.broker_time(stored.time) >= self.since)
            and (not self.ids or self._has_id(letter.source) or self._has_id(letter.first))
        )

    def _has_id(self, place: Source) -> bool:
        return place in self.ids or place._replace(topic_id=None) in self.ids


def parse_since(text: str, now: datetime) -> datetime:
    """Parse a time: `2h` ago (also s, m, d), or RFC 3339. Raises SettingsError."""
    ago = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    try:
        return now - timedelta(**{_AGO[ago[2]]: int(ago[1])}) if ago else times.moment(text)
    except (ValueError, OverflowError) as exc:
        message = (
            f"--since {text!r} is not a time. It must be how long ago, like 30m, 2h or 7d, or RFC "
            f"3339 with an offset, like 2026-01-31T09:15:00Z. Use one of these forms."
        )
        raise SettingsError(message) from exc


def parse_id(text: str) -> Source:
    """Parse the place of a reading; raises SettingsError."""
    try:
        return Source.of(text)
    except ValueError as exc:
        message = (
            f"{text!r} is not the ID of a reading. An ID is topic/partition/offset, like "
            f"digits.readings/0/42. `digitstream dead-letters list` shows them."
        )
        raise SettingsError(message) from exc


def letters(
    reader: TopicReader, topics: Topics, foreign: Foreign | None = None
) -> Iterator[Stored]:
    """The dead letters in Kafka, each partition in order; other records are added to `foreign`.

    Whoever may write to the topic must not be able to hide its other records.
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
class ListedLetter:
    """A dead letter in a list; `bytes` is the size of the original value.

    `show` and `replay` take `id`, which is topic/partition/offset. `replay_of` is the reading's
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
    def of(cls, stored: Stored) -> ListedLetter:
        """The list's entry for a letter."""
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
    """The counts of dead letters by stage and reason, most frequent first, the newest letters, and
    the other records on their topic.
    """

    total: int
    by_reason: list[tuple[str, str, int]]
    letters: list[ListedLetter]
    foreign: Foreign = field(default_factory=Foreign)


def read_listing(
    reader: TopicReader, topics: Topics, last: int, selection: Selection | None = None
) -> Listing:
    """Count the selected dead letters (all without a selection), and list the `last` newest.

    Raises TopicMissing.
    """
    counts: Counter[tuple[str, str]] = Counter()
    newest: dict[int, deque[ListedLetter]] = {}
    foreign = Foreign()
    for stored in letters(reader, topics, foreign):
        if (selection or Selection()).matches(stored):
            counts[stored.letter.stage, stored.letter.slug] += 1
            newest.setdefault(stored.partition, deque(maxlen=last)).append(ListedLetter.of(stored))
    ranked = [(stage, reason, count) for (stage, reason), count in counts.most_common()]
    candidates = sorted(
        (letter for few in newest.values() for letter in few), key=lambda letter: letter.time
    )
    return Listing(counts.total(), ranked, candidates[-last:] if last else [], foreign)
