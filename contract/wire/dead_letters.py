"""Dead letters: readings that could not be scored, as on the topic of dead letters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from contract.wire import headers as names
from contract.wire.headers import Header, Headers, optional, required
from contract.wire.messages import Message, encoded, expecting
from contract.wire.places import TOPIC, TOPIC_ID, Source
from contract.wire.reasons import REASONS, STAGES, Stage

_NUMBERS = (names.PARTITION, names.OFFSET)
_REASON = re.compile(rf"({'|'.join(REASONS)}): [ -~]+")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class DeadLetter:
    """A reading that could not be scored: the reason, and the record exactly as it came.

    `headers` are the record's. `attempt` counts from 1; from 2 on the record is a replay, and
    `replay_of` is the reading's first place. If `reason` is `too-large`, `value` may be None
    although the record has one; it is then only at `source`.
    """

    stage: Stage
    reason: str
    source: Source
    attempt: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    replay_of: Source | None = None

    @property
    def first(self) -> Source:
        """The reading's first place, where its device sent it: the same for all its dead
        letters.
        """
        return self.replay_of or self.source

    @property
    def slug(self) -> str:
        """The reason without its details."""
        return self.reason.partition(":")[0]

    def message(self) -> Message:
        """The message: key and value unchanged, original headers prefixed with `original-`."""
        ours = {
            names.STAGE: self.stage,
            names.REASON: self.reason,
            names.TOPIC: self.source.topic,
            names.PARTITION: str(self.source.partition),
            names.OFFSET: str(self.source.offset),
            names.ATTEMPT: str(self.attempt),
        }
        if self.source.topic_id is not None:
            ours[names.TOPIC_ID] = self.source.topic_id
        if self.replay_of is not None:
            ours[names.REPLAY_OF] = self.replay_of.id
        original = [(names.ORIGINAL + name, value) for name, value in self.headers]
        return Message(self.key, self.value, encoded(ours) + original)

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The dead letter in a record; raises BadEvent unless its headers match their JSON
        Schema.
        """
        with expecting("dead letter"):
            stage, reason = (required(headers, name) for name in (names.STAGE, names.REASON))
            attempt = required(headers, names.ATTEMPT)
            if stage not in STAGES:
                raise ValueError(stage)
            if _REASON.fullmatch(reason) is None:
                raise ValueError(reason)
            if _ATTEMPT.fullmatch(attempt) is None:
                raise ValueError(attempt)
            replay_of = optional(headers, names.REPLAY_OF)
            return cls(
                stage=stage,
                reason=reason,
                source=place_of(headers),
                attempt=int(attempt),
                key=key,
                value=value,
                headers=tuple(
                    (name.removeprefix(names.ORIGINAL), original)
                    for name, original in headers
                    if name.startswith(names.ORIGINAL)
                ),
                replay_of=None if replay_of is None else Source.of(replay_of),
            )


def place_of(headers: Headers) -> Source:
    """The place of the record that an answer is about, from the headers that dead letters and
    scores of replays have for it; raises BadReading or ValueError.
    """
    topic, *numbers = (required(headers, name) for name in (names.TOPIC, *_NUMBERS))
    topic_id = optional(headers, names.TOPIC_ID)
    if TOPIC.fullmatch(topic) is None:
        raise ValueError(topic)
    if topic_id is not None and TOPIC_ID.fullmatch(topic_id) is None:
        raise ValueError(topic_id)
    return Source.of("/".join(("topic", *numbers)))._replace(topic=topic, topic_id=topic_id)
