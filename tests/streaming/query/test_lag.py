"""How far a query is behind, from what Spark reports and Kafka knows."""

from __future__ import annotations

from typing import Any

from kafka.errors import CoordinatorNotAvailableError

from contract.wire.progress import Lag
from contract.wire.values.times import moment
from streaming.query.lag import Follower
from streaming.steps.metrics import Partition

BEGAN = "2026-03-01T12:00:00.000Z"
TOPIC = "lab.readings"


class Broker:
    """As much of a log as a follower asks; `away`, it answers nothing."""

    def __init__(self, retention: float | None = None, oldest: int = 0) -> None:
        self.retention, self.oldest = retention, oldest
        self.away = False
        self.groups: dict[str, Any] = {}

    def commit(self, group: str, offsets: Any) -> None:
        if self.away:
            raise CoordinatorNotAvailableError
        self.groups[group] = offsets

    def retention_s(self, topics: list[str]) -> float | None:
        if self.away:
            raise CoordinatorNotAvailableError
        return self.retention

    def first(self, topics: Any) -> dict[str, dict[int, int]]:
        return {topic: {0: self.oldest, 1: 0} for topic in topics}


def report(end: tuple[int, int], latest: tuple[int, int], seconds: float = 0.0) -> dict[str, Any]:
    """Of a micro-batch that began at BEGAN and took so long."""
    return {
        "timestamp": BEGAN,
        "durationMs": {"triggerExecution": seconds * 1000},
        "sources": [
            {
                name: {TOPIC: {str(part): offset for part, offset in enumerate(offsets)}}
                for name, offsets in (("endOffset", end), ("latestOffset", latest))
            }
        ],
    }


def answered(**seconds_before: float) -> dict[Partition, float]:
    """The time of each partition's last answered reading, before the batch began."""
    began = moment(BEGAN).timestamp()
    return {(TOPIC, int(part[1:])): began - ago for part, ago in seconds_before.items()}


def test_a_query_that_keeps_up_has_no_lag_and_its_group_is_where_it_is() -> None:
    broker = Broker()
    follower = Follower(broker, "digits-scoring")
    lag = follower.after(report((10, 20), (10, 20)), answered(p0=1, p1=2), 100.0)
    assert lag == Lag(0, 0.0, 0.0, None, None)
    assert broker.groups == {"digits-scoring": {TOPIC: {0: 10, 1: 20}}}


def test_lag_is_the_age_of_the_oldest_waiting_reading() -> None:
    follower = Follower(Broker(), "g")
    lag = follower.after(report((10, 20), (110, 20), 2.0), answered(p0=5, p1=60), 50.0)
    assert (lag.readings, lag.seconds, lag.drain_s) == (100, 7.0, 2.0)


def test_the_time_of_a_partition_is_remembered_between_micro_batches() -> None:
    follower = Follower(Broker(), "g")
    follower.after(report((10, 20), (10, 20)), answered(p0=5, p1=60), 50.0)
    lag = follower.after(report((10, 25), (15, 25)), answered(p1=0), 50.0)
    assert lag.seconds == 5.0


def test_a_backlog_that_grows_is_never_drained() -> None:
    follower = Follower(Broker(), "g")
    follower.after(report((10, 0), (50, 0), 0.0), answered(p0=1), 30.0)
    lag = follower.after(report((40, 0), (110, 0), 2.0), answered(p0=1), 29.0)
    assert (lag.readings, lag.drain_s) == (70, None)  # 30 a second came
    lag = follower.after(report((70, 0), (110, 0), 4.0), answered(p0=1), 40.0)
    assert lag.drain_s == 1.0


def test_approaching_retention_is_reported_in_time_and_readings() -> None:
    follower = Follower(Broker(retention=3600.0, oldest=8), "g")
    lag = follower.after(report((10, 20), (110, 20)), answered(p0=3000, p1=0), 1.0)
    assert (lag.headroom, lag.overtaken_s) == (2, 600.0)


def test_a_clock_that_is_set_back_does_not_delay_commits() -> None:
    broker = Broker()
    follower = Follower(broker, "g")
    follower.after(report((10, 20), (10, 20)), answered(p0=1), 100.0)
    earlier = {**report((30, 40), (30, 40)), "timestamp": "2026-03-01T02:00:00.000Z"}
    follower.after(earlier, answered(p0=1), 100.0)
    assert broker.groups["g"] == {TOPIC: {0: 30, 1: 40}}


def test_a_broker_that_does_not_answer_does_not_stop_the_query() -> None:
    broker = Broker(retention=60.0)
    broker.away = True
    follower = Follower(broker, "g")
    lag = follower.after(report((1, 0), (2, 0)), answered(p0=1), 1.0)
    assert (lag.readings, lag.overtaken_s) == (1, None)
    broker.away = False
    later = report((2, 0), (2, 0), 2.0)
    assert follower.after(later, answered(p0=1), 1.0).overtaken_s == 60.0
    assert broker.groups["g"] == {TOPIC: {0: 2, 1: 0}}
