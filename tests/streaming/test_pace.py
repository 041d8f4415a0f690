"""The size of micro-batches follows what the machine does."""

from __future__ import annotations

import pytest

from streaming.pace import LEAST, Pace


def settled(pace: Pace, readings_per_s: float, fixed_s: float, waiting: int = 10**9) -> float:
    """Seconds of a micro-batch once the limit has settled, on a machine of this pace."""
    for _ in range(30):
        rows = min(pace.limit, waiting)
        seconds = fixed_s + rows / readings_per_s
        pace.after(rows, seconds)
    return seconds


@pytest.mark.parametrize("readings_per_s", [1_000, 5_000, 20_000])
def test_a_backlog_is_taken_in_micro_batches_of_half_the_latency(readings_per_s: float) -> None:
    assert settled(Pace(100_000, 1.0), readings_per_s, 0.1) == pytest.approx(0.5, rel=0.1)


def test_a_limit_that_partitions_round_down_is_full() -> None:
    pace = Pace(100_000, 1.0)
    for _ in range(30):
        rows = pace.limit // 7 * 7
        pace.after(rows, 0.1 + rows / 10_000)
    assert pace.limit > 3_500


def test_no_limit_is_above_the_highest() -> None:
    pace = Pace(3_000, 10.0)
    settled(pace, 1e6, 0.01)
    assert pace.limit == 3_000


def test_where_a_micro_batch_cannot_be_short_it_is_small_but_not_nothing() -> None:
    pace = Pace(100_000, 0.1)
    settled(pace, 10_000, 0.5)
    assert pace.limit == LEAST


def test_few_readings_that_took_little_time_change_nothing() -> None:
    pace = Pace(100_000, 1.0)
    before = pace.limit
    settled(pace, 10_000, 0.05, waiting=20)
    assert pace.limit == before


def test_a_machine_that_gets_slower_gets_less_and_then_more_again() -> None:
    pace = Pace(100_000, 1.0)
    settled(pace, 10_000, 0.05)
    fast = pace.limit
    settled(pace, 1_000, 0.05)
    assert pace.limit < fast / 5
    settled(pace, 10_000, 0.05)
    assert pace.limit == pytest.approx(fast, rel=0.1)
