"""A reading that is sent again: on a topic of its own, where no device may write."""

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

OWN = (names.REPLAY_OF, names.ATTEMPT, names.NULLS)
"""The first headers of a replay, in this order; all that follow are the device's own."""

_ATTEMPT = re.compile(r"[2-9]|[1-9][0-9]{1,8}")
_NULLS = re.compile(r"([0-9]{1,9}(,[0-9]{1,9})*)?")


@dataclass(frozen=True)
class Replay:
    """A reading as it came, its headers after three of ours.

    `first` is where it lay when it came from its device, whatever happened to it since: the id of
    every answer to it. `attempt` counts how often it was sent, so from 2.
    """

    first: Source
    attempt: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    def message(self) -> Message:
        """The reading, to be sent to the topic of replays.

        Not every client can send headers of null: those are empty, and `null-headers` counts them
        up, from 0.
        """
        nulls = ",".join(str(at) for at, (_, value) in enumerate(self.headers) if value is None)
        own = zip(OWN, (self.first.id, str(self.attempt), nulls), strict=True)
        sent = [(name, value or b"") for name, value in self.headers]
        return Message(self.key, self.value, [*encoded(dict(own)), *sent])

    @classmethod
    def of(cls, key: bytes | None, value: bytes | None, headers: Headers) -> Self:
        """The replay in a record of that topic; raises BadReading only.

        Ours are told from a device's of the same name by where they stand, first of all.
        """
        own, sent = headers[: len(OWN)], headers[len(OWN) :]
        if tuple(name for name, _ in own) != OWN:
            detail = f"the record does not begin with {', '.join(OWN)}, so it is no replay"
            raise BadReading(reasons.MISSING_HEADER, detail)
        first, attempt, nulls = (optional(own, name) or "" for name in OWN)
        if _ATTEMPT.fullmatch(attempt) is None:
            detail = f"{names.ATTEMPT} is {attempt[:40]!r}; a replay's is a number from 2 on"
            raise BadReading(reasons.BAD_HEADER, detail)
        try:
            place = Source.of(first)
        except ValueError as exc:
            raise BadReading(reasons.BAD_HEADER, f"{names.REPLAY_OF}: {exc}") from exc
        return cls(place, int(attempt), key, value, _nulled(sent, nulls))


def _nulled(headers: Headers, nulls: str) -> tuple[Header, ...]:
    """The headers, null again where that says so; raises BadReading if it says no such thing."""
    if _NULLS.fullmatch(nulls) is None:
        detail = f"{names.NULLS} is {nulls[:40]!r}; it counts headers, like 0,3"
        raise BadReading(reasons.BAD_HEADER, detail)
    empty = {int(at) for at in nulls.split(",") if at}
    return tuple((name, None if at in empty else value) for at, (name, value) in enumerate(headers))
