"""The size of micro-batches follows what the machine does."""

from __future__ import annotations

import numpy as np
import pytest

from streaming.query.pace import Pace


def settled(pace: Pace, readings_per_s: float, fixed_s: float, waiting: int = 10**9) -> float:
    """Seconds of a micro-batch once the limit has settled, on a machine of this pace."""
    for _ in range(30):
        rows = min(pace.limit, waiting)
        seconds = fixed_s + rows / readings_per_s
        pace.after(rows, seconds)
    return seconds


@pytest.mark.parametrize("readings_per_s", [1_000, 5_000, 20_000])
def test_a_backlog_is_read_in_micro_batches_of_half_the_latency(readings_per_s: float) -> None:
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


@pytest.mark.parametrize("cold", [1.0, 5.0])
@pytest.mark.parametrize("latency_s", [0.02, 0.5])
@pytest.mark.parametrize("coming_per_s", [500, 1000, 2000])
def test_a_machine_that_is_too_slow_for_the_latency_still_keeps_up(
    coming_per_s: int, latency_s: float, cold: float
) -> None:
    """4,000 readings/s in large micro-batches, which cost 0.4 s each; slower when it is cold."""
    noise = np.random.default_rng(3)
    pace, now, answered, waiting = Pace(100_000, latency_s), 0.0, 0, 0
    for number in range(600):
        waiting = round(now * coming_per_s) - answered
        rows = min(pace.limit, waiting)
        seconds = (0.4 + rows / 4_000) * noise.lognormal(0, 0.2) * (1 + (cold - 1) * 0.7**number)
        now += seconds
        answered += rows
        pace.after(rows, seconds)
    assert waiting < 6 * coming_per_s


def test_a_backlog_costs_a_quarter_of_the_pace_where_micro_batches_cannot_be_short() -> None:
    seconds = settled(Pace(100_000, 0.1), 10_000, 0.5)
    assert 1.5 < seconds < 3.0


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
