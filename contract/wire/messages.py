"""Messages as kafka-python has them, and functions that the events' codecs share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from contract.errors import BadEvent
from contract.wire import headers as names
from contract.wire.headers import Header
from contract.wire.images import JSON
from contract.wire.reasons import BadReading, printable
from contract.wire.values.times import stamp

SPECVERSION = names.VERSION


class Message(NamedTuple):
    """A record's key, value and headers, as kafka-python has them."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]


def attributes(
    id: str, source: str, type: str, time: datetime | None, content_type: str = JSON
) -> list[Header]:
    """The headers of an event in binary mode."""
    values = {
        names.SPECVERSION: SPECVERSION,
        names.ID: id,
        names.SOURCE: source,
        names.TYPE: type,
        names.CONTENT_TYPE: content_type,
    }
    if time is not None:
        values[names.TIME] = stamp(time)
    return encoded(values)


def encoded(values: Mapping[str, str]) -> list[Header]:
    """Texts as headers of a record."""
    return [(name, value.encode()) for name, value in values.items()]


def key_of(device: str | None) -> bytes | None:
    """The key of a device's readings, and of the answers to them."""
    return None if device is None else device.encode()


def json_of(body: Mapping[str, object]) -> bytes:
    """An object as compact UTF-8 JSON, for a record's value."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


@contextmanager
def expecting(kind: str) -> Iterator[None]:
    """Raise any error in reading one of our records as BadEvent."""
    try:
        yield
    except (BadReading, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        message = (
            f"A record does not hold a {kind} ({printable(str(exc))}). Only digitstream and "
            f"clients that keep its AsyncAPI document may write to its topics. Find who else does."
        )
        raise BadEvent(message) from exc
