"""Replays: readings that are sent again, on a topic where no device may write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from contract.wire import headers as names
from contract.wire import reasons
from contract.wire.headers import Header, Headers, optional
from contract.wire.messages import Message, encoded
from contract.wire.places import Source
from contract.wire.reasons import BadReading

OURS = (names.REPLAY_OF, names.ATTEMPT, names.NULLS)
"""The first headers of a replay, in this order; the device's headers follow."""

_ATTEMPT = re.compile(r"[2-9]|[1-9][0-9]{1,8}")
_NULLS = re.compile(r"([0-9]{1,9}(,[0-9]{1,9})*)?")


@dataclass(frozen=True)
class Replay:
    """A reading as its device sent it, its headers after three of ours.

    `first` is the place where its device sent it, and the id of every answer to it. `attempt`
    counts how often it was sent, so it starts at 2.
    """

    first: Source
    attempt: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    def message(self) -> Message:
        """The message for the topic of replays.

        Not every client can send null headers, so they become empty, and `null-headers` lists
        their numbers, from 0.
        """
        nulls = ",".join(str(at) for at, (_, value) in enumerate(self.headers) if value is None)
        ours = zip(OURS, (self.first.id, str(self.attempt), nulls), strict=True)
        originals = [(name, value or b"") for name, value in self.headers]
        return Message(self.key, self.value, [*encoded(dict(ours)), *originals])

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The replay in a record of that topic; raises BadReading only.

        Our headers come first, which distinguishes them from a device's with the same name.
        """
        ours, originals = headers[: len(OURS)], headers[len(OURS) :]
        if tuple(name for name, _ in ours) != OURS:
            detail = f"the record does not begin with {', '.join(OURS)}, so it is no replay"
            raise BadReading(reasons.MISSING_HEADER, detail)
        first, attempt, nulls = (optional(ours, name) or "" for name in OURS)
        if _ATTEMPT.fullmatch(attempt) is None:
            detail = f"{names.ATTEMPT} is {attempt[:40]!r}; a replay's is a number from 2 on"
            raise BadReading(reasons.BAD_HEADER, detail)
        try:
            place = Source.of(first)
        except ValueError as exc:
            raise BadReading(reasons.BAD_HEADER, f"{names.REPLAY_OF}: {exc}") from exc
        return cls(place, int(attempt), key, value, _with_nulls(originals, nulls))


def _with_nulls(headers: Headers, nulls: str) -> tuple[Header, ...]:
    """The headers, with the listed ones null again; raises BadReading if the list is invalid."""
    if _NULLS.fullmatch(nulls) is None:
        detail = f"{names.NULLS} is {nulls[:40]!r}; it counts headers, like 0,3"
        raise BadReading(reasons.BAD_HEADER, detail)
    numbers = {int(at) for at in nulls.split(",") if at}
    return tuple(
        (name, None if at in numbers else value) for at, (name, value) in enumerate(headers)
    )
