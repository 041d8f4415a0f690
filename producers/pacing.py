"""Pacing of a stream of items, and stopping on signals."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

GRAIN = 0.001
"""Items due within so many seconds are due now, so that a high rate comes in small bursts."""


def paced(
    items: Iterator[T], rate: float, stop: threading.Event, idle: Callable[[float], None]
) -> Iterator[T]:
    """The items at `rate` per second, each taken from `items` only when it is due.

    Delays are caught up. Between two items, `idle` may work for the seconds it is passed.
    """
    start = time.monotonic()
    sent = 0
    while not stop.is_set():
        ahead = sent / rate - (time.monotonic() - start)
        if ahead > GRAIN:
            idle(ahead)
            stop.wait(max(0.0, sent / rate - (time.monotonic() - start)))
            continue
        try:
            yield next(items)
        except StopIteration:
            return
        sent += 1


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one has its usual effect.

    For the main thread only.
    """
    event = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        event.set()
        restore()

    for number in signals:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        restore()
