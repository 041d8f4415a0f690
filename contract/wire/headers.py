"""The header names of our events and the rules by which one is read."""

from __future__ import annotations

from collections.abc import Sequence

from contract.wire import reasons, remedies
from contract.wire.reasons import BadReading
from contract.wire.values.times import moment

Header = tuple[str, bytes | None]
Headers = Sequence[Header]

ID = "ce_id"
SOURCE = "ce_source"
TYPE = "ce_type"
TIME = "ce_time"
SPECVERSION = "ce_specversion"
VERSION = "1.0"
"""Of CloudEvents: what `ce_specversion` is, where it is there."""
CONTENT_TYPE = "content-type"

REQUIRED = (ID, SOURCE, TYPE, CONTENT_TYPE)
"""What a reading in binary mode has exactly once each, as non-empty UTF-8; TIME at most once."""

ATTRIBUTES = frozenset({*REQUIRED, TIME, SPECVERSION})
"""All that we know of an event in binary mode."""

_NEEDED = (*REQUIRED, TIME)

STAGE = "stage"
REASON = "reason"
TOPIC = "topic"
PARTITION = "partition"
OFFSET = "offset"
TOPIC_ID = "topic-id"
ATTEMPT = "attempt"
REPLAY_OF = "replay-of"
NULLS = "null-headers"
ORIGINAL = "original-"
"""Before the name of every header of the record that a dead letter holds."""


def required(headers: Headers, name: str) -> str:
    """The one value of a header; raises BadReading unless there is exactly one, not empty."""
    value = optional(headers, name)
    if value is None:
        raise BadReading(reasons.MISSING_HEADER, f"{name} is required{_instead(headers, name)}")
    if not value:
        raise BadReading(reasons.BAD_HEADER, f"{name} is empty")
    return value


def optional(headers: Headers, name: str) -> str | None:
    """The value of a header, None if it is not there; raises BadReading if two are, or no UTF-8."""
    values = [value for key, value in headers if key == name]
    if not values:
        return None
    if len(values) > 1:
        raise BadReading(reasons.REPEATED_HEADER, f"{name} comes {len(values)} times")
    return _text(name, values[0])


def attributes_of(headers: Headers) -> dict[str, str]:
    """The attributes of an event of ours in binary mode, `ce_time` among them; raises BadReading
    unless they are as attributes.schema.json has them.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name in ATTRIBUTES:
            if name in found:
                raise BadReading(reasons.REPEATED_HEADER, f"{name} comes more than once")
            found[name] = _text(name, value)
    for name in _NEEDED:
        if not found.get(name):
            raise BadReading(reasons.MISSING_HEADER, f"{name} is required, and not empty")
    check_specversion(found.get(SPECVERSION))
    moment(found[TIME])
    return found


def check_specversion(value: str | None) -> None:
    """Raise BadReading if an event says that it is of another version of CloudEvents than ours."""
    if value is not None and value != VERSION:
        detail = f"{SPECVERSION} is {value[:40]!r}; it must be {VERSION}"
        raise BadReading(reasons.BAD_HEADER, detail)


def _instead(headers: Headers, name: str) -> str:
    """What is there where a header is missing, and what else is."""
    there = [key for key, _ in headers]
    other = remedies.misspelled(there, name)
    if other is not None:
        return f"; there is {other[:64]}: write {name}, exactly so"
    missing = [also for also in REQUIRED if also not in there and also != name]
    return f", and so are {', '.join(missing)}" if missing and name in REQUIRED else ""


def media_type(content_type: str) -> str:
    """`Image/PNG; q=1` is `image/png`: case and parameters do not matter."""
    return content_type.partition(";")[0].strip().lower()


def device_of(key: bytes | None) -> str | None:
    """The device that a record's key names; bytes that are no UTF-8 are shown as `\\xff`."""
    return None if key is None else key.decode("utf-8", "backslashreplace")


def _text(name: str, value: bytes | None) -> str:
    """The value of a header that is there once; raises BadReading unless it is UTF-8."""
    if value is None:
        raise BadReading(reasons.BAD_HEADER, f"{name} is null")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadReading(reasons.BAD_HEADER, f"{name} is not UTF-8") from exc
