"""Times on the wire: RFC 3339 in UTC with microseconds, `2026-01-31T09:15:00.123456Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

RFC_3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)

FIRST_MS, LAST_MS = 0, 253_402_300_799_999
"""The range of valid Kafka timestamps, in milliseconds since 1970: to the end of year 9999.

In a topic with `CreateTime` a client may set any 64-bit number; it is clipped to this range.
"""

EARLIEST_US, LATEST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The range of `moment`, in microseconds since 1970: the years 1 to 9999."""

_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The format of `stamp`, which Python parses itself, except for leap seconds.
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{6}Z", re.ASCII)


def stamp(time: datetime) -> str:
    """An aware time as RFC 3339 text in UTC, always with 27 characters."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def milliseconds(time: datetime) -> int:
    """An aware time as a Kafka timestamp, in milliseconds since 1970; 0 for earlier times, as
    negative numbers have other meanings in requests for offsets.
    """
    return max(round(time.timestamp() * 1000), FIRST_MS)


def broker_time(milliseconds: int) -> datetime:
    """The time, in UTC, of any Kafka timestamp."""
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, FIRST_MS), LAST_MS))


def stamp_of(microseconds: int) -> bytes:
    """Microseconds since 1970 as RFC 3339 bytes; faster than `stamp`."""
    second, fraction = divmod(microseconds, 1_000_000)
    return b"%s.%06dZ" % (_second(second), fraction)


@lru_cache(maxsize=16)
def _second(second: int) -> bytes:
    return stamp(datetime.fromtimestamp(second, UTC))[:19].encode()


def moment(text: str) -> datetime:
    """The time in an RFC 3339 text, in UTC; digits beyond microseconds are dropped.

    A leap second is read as the next second. A time that its UTC offset moves out of the years 1 to
    9999 becomes the nearest within them. Raises ValueError for any other text.
    """
    if _STAMP.fullmatch(text):
        return datetime.fromisoformat(text)
    match = RFC_3339.fullmatch(text)
    if match is None:
        message = "it is not RFC 3339 with an offset, like 2026-01-31T09:15:00.123Z"
        raise ValueError(message)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    ahead = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    zone = timezone(-ahead if match[8] == "-" else ahead)
    leap = second == 60
    try:
        local = datetime(year, month, day, hour, minute, second - leap, microsecond, zone)
        return local.astimezone(UTC) + timedelta(seconds=leap)
    except OverflowError:
        return _EARLIEST if year == 1 else _LATEST
