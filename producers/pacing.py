"""When to send: so many a second, evenly, until told to stop."""

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
"""Seconds: what is due sooner is due now, so that a high rate comes in small bursts."""


def paced(
    items: Iterator[T], rate: float, stop: threading.Event, idle: Callable[[float], None]
) -> Iterator[T]:
    """The items, `rate` a second, each taken from `items` only when it is due.

    What was held up is made up for. Between two items `idle` may work for the seconds it is given.
    """
    began = time.monotonic()
    sent = 0
    while not stop.is_set():
        ahead = sent / rate - (time.monotonic() - began)
        if ahead > GRAIN:
            idle(ahead)
            stop.wait(max(0.0, sent / rate - (time.monotonic() - began)))
            continue
        try:
            yield next(items)
        except StopIteration:
            return
        sent += 1


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set in place of their usual effect; a second one has it.

    For the main thread only.
    """
    event = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    usual = {number: signal.getsignal(number) for number in signals}

    def restored() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        event.set()
        restored()

    for number in signals:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        restored()
