"""What is held against a new model, and what is not."""

from __future__ import annotations

import pytest

from streaming.models.guard import BATCHES, ENOUGH, Bounds, Watch
from streaming.models.roles import GUARD, SCORE
from streaming.steps.metrics import Agreement, BatchMetrics

BOUNDS = Bounds(readings=4 * ENOUGH, agreement=0.9, slowness=3.0)


def metrics(readings: int, same: int, new: float, old: float) -> BatchMetrics:
    agreements = {GUARD: Agreement(readings, same)}
    return BatchMetrics(seconds={SCORE: new, GUARD: old}, agreements=agreements)


def after(watch: Watch, *batches: BatchMetrics) -> Watch:
    for batch in batches:
        assert watch.fault is None
        watch = watch.after(batch)
    return watch


@pytest.fixture
def watch() -> Watch:
    return Watch(BOUNDS, SCORE, GUARD)


def test_slow_first_micro_batches_do_not_count(watch: Watch) -> None:
    fast = metrics(ENOUGH, ENOUGH, new=0.05, old=0.05)
    watch = after(watch, metrics(ENOUGH, ENOUGH, new=1.5, old=0.05), *[fast] * BATCHES)
    assert watch.is_over and watch.fault is None


def test_a_model_that_is_slow_repeatedly_is_reported(watch: Watch) -> None:
    slow = metrics(ENOUGH, ENOUGH, new=0.2, old=0.05)
    sentence = "took 4.0 times as long as the previous version for 500 readings, not 3.0 at most"
    assert after(watch, *[slow] * BATCHES).fault == sentence


def test_a_model_that_disagrees_is_reported_at_once(watch: Watch) -> None:
    sentence = "gave the class of the previous version to 80.0% of 100 readings, not to 90.0%"
    assert after(watch, metrics(ENOUGH, 80, new=0.05, old=0.05)).fault == sentence


def test_few_readings_are_not_enough(watch: Watch) -> None:
    watch = after(watch, metrics(ENOUGH - 1, 0, new=0.05, old=0.05), BatchMetrics())
    assert watch.readings == ENOUGH - 1 and watch.fault is None


def test_a_large_micro_batch_alone_does_not_end_the_watch(watch: Watch) -> None:
    large = metrics(10 * ENOUGH, 10 * ENOUGH, new=0.05, old=0.05)
    ends = [after(watch, *[large] * count).is_over for count in range(1, BATCHES + 1)]
    assert ends == [False, False, False, False, True]
