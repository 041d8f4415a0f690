"""The names of our events' headers, and functions that read them."""

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
"""The version of CloudEvents, the value of `ce_specversion` if there is one."""
CONTENT_TYPE = "content-type"

REQUIRED = (ID, SOURCE, TYPE, CONTENT_TYPE)
"""Headers that a reading in binary mode has exactly once, not empty; TIME comes at most once."""

ATTRIBUTES = frozenset({*REQUIRED, TIME, SPECVERSION})
"""All headers of an event in binary mode that we use."""

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
"""Prefix of the original record's headers in a dead letter."""


def required(headers: Headers, name: str) -> str:
    """The value of a header; raises BadReading unless it comes exactly once and is not empty."""
    value = optional(headers, name)
    if value is None:
        raise BadReading(
            reasons.MISSING_HEADER, f"{name} is required{_missing_hint(headers, name)}"
        )
    if not value:
        raise BadReading(reasons.BAD_HEADER, f"{name} is empty")
    return value


def optional(headers: Headers, name: str) -> str | None:
    """The value of a header, None if there is none; raises BadReading if it is repeated or not
    UTF-8.
    """
    values = [value for key, value in headers if key == name]
    if not values:
        return None
    if len(values) > 1:
        raise BadReading(reasons.REPEATED_HEADER, f"{name} comes {len(values)} times")
    return _text(name, values[0])


def attributes_of(headers: Headers) -> dict[str, str]:
    """The attributes of one of our events in binary mode, including `ce_time`; raises BadReading
    unless they match attributes.schema.json.
    """
    attributes: dict[str, str] = {}
    for name, value in headers:
        if name in ATTRIBUTES:
            if name in attributes:
                raise BadReading(reasons.REPEATED_HEADER, f"{name} comes more than once")
            attributes[name] = _text(name, value)
    for name in _NEEDED:
        if not attributes.get(name):
            raise BadReading(reasons.MISSING_HEADER, f"{name} is required, and not empty")
    check_specversion(attributes.get(SPECVERSION))
    moment(attributes[TIME])
    return attributes


def check_specversion(value: str | None) -> None:
    """Raise BadReading if an event names a version of CloudEvents other than ours."""
    if value is not None and value != VERSION:
        detail = f"{SPECVERSION} is {value[:40]!r}; it must be {VERSION}"
        raise BadReading(reasons.BAD_HEADER, detail)


def _missing_hint(headers: Headers, name: str) -> str:
    """For the message about a missing header: a misspelled one, or what else is missing."""
    keys = [key for key, _ in headers]
    similar = remedies.misspelled(keys, name)
    if similar is not None:
        return f"; there is {similar[:64]}: write {name}, exactly so"
    missing = [other for other in REQUIRED if other not in keys and other != name]
    return f", and so are {', '.join(missing)}" if missing and name in REQUIRED else ""


def media_type(content_type: str) -> str:
    """The media type in lower case, without parameters: `Image/PNG; q=1` becomes `image/png`."""
    return content_type.partition(";")[0].strip().lower()


def device_of(key: bytes | None) -> str | None:
    """The device in a record's key; bytes that are not UTF-8 become escapes like `\\xff`."""
    return None if key is None else key.decode("utf-8", "backslashreplace")


def _text(name: str, value: bytes | None) -> str:
    """The value of a header as text; raises BadReading unless it is UTF-8."""
    if value is None:
        raise BadReading(reasons.BAD_HEADER, f"{name} is null")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadReading(reasons.BAD_HEADER, f"{name} is not UTF-8") from exc
