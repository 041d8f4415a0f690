"""As many a second as asked, each item taken when it is due, and an end when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count
from math import inf

import pytest

from producers.pacing import paced


def nothing(seconds: float) -> None:
    pass


def test_items_come_at_the_rate_and_are_taken_when_due() -> None:
    def stamps() -> Iterator[float]:
        for _ in range(60):
            yield time.monotonic()

    def work(seconds: float) -> None:
        threading.Event().wait(0.05)

    began = time.monotonic()
    taken = list(paced(iter(range(20)), 100.0, threading.Event(), work))
    assert len(taken) == 20
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("rate", [inf, 1000.0, 0.001])
def test_it_ends_when_told(rate: float) -> None:
    stop = threading.Event()
    taken = 0
    threading.Timer(0.1, stop.set).start()
    for _ in paced(count(), rate, stop, nothing):
        taken += 1
    assert stop.is_set() and taken >= 1
