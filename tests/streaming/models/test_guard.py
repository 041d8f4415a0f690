"""What is held against a new model, and what is not."""

from __future__ import annotations

import pytest

from streaming.models.answering import GUARD, SCORE, agreed_with, asked_of
from streaming.models.guard import BATCHES, ENOUGH, Bounds, Watch


def figures(asked: int, agreed: int, new: float, old: float) -> dict[str, float]:
    return {asked_of(GUARD): asked, agreed_with(GUARD): agreed, SCORE: new, GUARD: old}


@pytest.fixture
def watch() -> Watch:
    return Watch(Bounds(readings=4 * ENOUGH), SCORE, GUARD)


def test_workers_that_begin_are_not_held_against_it(watch: Watch) -> None:
    assert watch.saw(figures(ENOUGH, ENOUGH, new=1.5, old=0.05)) is None
    for _ in range(BATCHES):
        assert watch.saw(figures(ENOUGH, ENOUGH, new=0.05, old=0.05)) is None
    assert watch.over


def test_a_model_that_is_slow_again_and_again_is_told(watch: Watch) -> None:
    slow = figures(ENOUGH, ENOUGH, new=0.2, old=0.05)
    assert [watch.saw(slow) for _ in range(BATCHES - 1)] == [None] * (BATCHES - 1)
    said = "took 4.0 times as long as the one before it for 500 readings, not 3.0 at most"
    assert watch.saw(slow) == said


def test_a_model_that_disagrees_is_told_at_once(watch: Watch) -> None:
    said = watch.saw(figures(ENOUGH, 80, new=0.05, old=0.05))
    assert said == "gave the class of the one before it to 80.0% of 100 readings, not 90.0%"


def test_few_readings_say_nothing(watch: Watch) -> None:
    assert watch.saw(figures(ENOUGH - 1, 0, new=0.05, old=0.05)) is None
    assert watch.saw({}) is None
    assert watch.asked == ENOUGH - 1


def test_a_large_micro_batch_alone_does_not_end_the_watch(watch: Watch) -> None:
    large = figures(10 * ENOUGH, 10 * ENOUGH, new=0.05, old=0.05)
    seen = []
    for _ in range(BATCHES):
        watch.saw(large)
        seen.append(watch.over)
    assert seen == [False, False, False, False, True]
