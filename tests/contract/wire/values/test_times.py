"""RFC 3339, and nothing that merely resembles it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.wire.values.times import (
    FIRST_MS,
    LAST_MS,
    broker_time,
    milliseconds,
    moment,
    stamp,
    stamp_of,
)

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31T14:30:00+02:30", NOON),
        ("2026-01-31T12:00:00-00:00", NOON),
        ("2026-01-31T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-01-31T12:00:00.1234569999Z", NOON + timedelta(microseconds=123456)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.25Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", datetime.min.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", datetime.max.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:60Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_utc(text: str, time: datetime) -> None:
    assert moment(text) == time
    assert moment(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+02:60",
        "2026-01-31T12:00:00.Z",
        "0000-01-31T12:00:00Z",
        "\u0662\u0660\u0662\u0666-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))
def test_a_stamp_is_read_as_the_same_moment(naive: datetime) -> None:
    time = naive.replace(tzinfo=timezone(timedelta(hours=-7)))
    assert moment(stamp(time)) == time
    assert len(stamp(time)) == 27


@given(st.integers(0, 4_000_000_000_000_000))
def test_both_stamps_agree(microseconds: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert stamp_of(microseconds) == stamp(time).encode()


@given(st.integers(-(2**63), 2**63 - 1))
def test_whatever_kafka_says_of_a_record_is_a_time(number: int) -> None:
    nearest = min(max(number, FIRST_MS), LAST_MS)
    assert milliseconds(broker_time(number)) == nearest
    assert moment(stamp(broker_time(number))) == broker_time(number)


@given(st.datetimes(timezones=st.just(UTC)))
def test_kafka_is_asked_for_no_time_before_1970(time: datetime) -> None:
    assert milliseconds(time) >= 0
    if time.year >= 1970:
        assert abs(broker_time(milliseconds(time)) - time) <= timedelta(milliseconds=1)
