"""Parsers for the fields of our events' JSON, as strict as their JSON Schemas.

Each function returns the value, or raises ValueError if the schema does not allow it. In JSON
Schema 3.0 is an integer, and true is not.
"""

from __future__ import annotations

import reprlib
import sys
from datetime import datetime
from typing import Any

from contract.wire.places import MOST_OFFSET, MOST_PARTITION, TOPIC, Source
from contract.wire.values.times import moment

LARGEST = (1 << 63) - 1
"""The largest integer of any field: Java's and Parquet's."""

FINITE = sys.float_info.max
"""The largest number of any field."""

_SOURCE = frozenset({"topic", "partition", "offset"})


def members(value: object, names: frozenset[str]) -> dict[str, Any]:
    """The members of an object with exactly these names."""
    if not isinstance(value, dict):
        raise _refusal(value, "an object")
    if value.keys() != names:
        message = f"it has {reprlib.repr(sorted(value))}, but must have {', '.join(sorted(names))}"
        raise ValueError(message)
    return value


def text(value: object, *, least: int = 0) -> str:
    """A text with at least so many characters."""
    if not isinstance(value, str) or len(value) < least:
        raise _refusal(value, "text that is not empty" if least else "text")
    return value


def integer(value: object, least: int = 0, most: int = LARGEST) -> int:
    """An integer between two bounds, both included."""
    if type(value) is int and least <= value <= most:
        return value
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(whole, int) or isinstance(whole, bool) or not least <= whole <= most:
        raise _refusal(value, f"an integer from {least} to {most}")
    return whole


def number(value: object, least: float = -FINITE, most: float = FINITE) -> float:
    """A number between two bounds, both included."""
    if type(value) is float and least <= value <= most:
        return value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        raise _refusal(value, f"a number from {least} to {most}")
    return float(value)


def label(value: object) -> int | str:
    """A class, as number or name."""
    return value if isinstance(value, str) else integer(value, -LARGEST - 1)


def time(value: object) -> datetime:
    """A time in UTC."""
    if not isinstance(value, str) or not value.endswith("Z"):
        raise _refusal(value, "a time of RFC 3339 in UTC")
    return moment(value)


def source(value: object) -> Source:
    """The place of a record."""
    place = members(value, _SOURCE)
    topic = text(place["topic"])
    if TOPIC.fullmatch(topic) is None:
        raise _refusal(topic, "the name of a topic")
    partition = integer(place["partition"], most=MOST_PARTITION)
    return Source(topic, partition, integer(place["offset"], most=MOST_OFFSET))


def _refusal(value: object, expected: str) -> ValueError:
    return ValueError(f"{reprlib.repr(value)} is not {expected}")
