"""Stopping between two micro-batches, by a signal or because something failed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql.streaming.query import StreamingQuery

_GLANCE_SECONDS = 0.05


class Stopping(Exception):
    """Ends the query before a micro-batch that would have been the next."""


@dataclass(eq=False)
class Batches:
    """The micro-batches of one query, of which none begins once `stop` is set.

    `failure` is what ended the query, if one of them did.
    """

    stop: threading.Event
    failure: Exception | None = None
    _let_go: bool = False
    _running: bool = False
    _finished: int = -1

    @contextmanager
    def one(self, batch: int) -> Iterator[None]:
        """A micro-batch, while the body runs; raises Stopping instead if it is to be none."""
        self._running = True
        try:
            if self.stop.is_set():
                raise Stopping
            yield
            self._finished = batch
        except Exception as exc:
            # Whoever stops a service stops its workers, too.
            self.failure = self.failure or (Stopping() if self.stop.is_set() else exc)
            raise
        finally:
            self._running = False

    def end(self, failure: Exception) -> None:
        """Begin no further micro-batch, because of a failure beside them."""
        self.failure = self.failure or failure
        self.stop.set()

    def follow(self, query: StreamingQuery, is_in_vain: Callable[[], bool] = lambda: False) -> None:
        """Return when the query ended by itself, or was stopped after the micro-batch that ran; if
        it `is_in_vain` to wait for that, it is let go, and done again at the next start.
        """
        while query.isActive and not self.stop.wait(4 * _GLANCE_SECONDS):
            pass
        while query.isActive and not self._between(query):
            if is_in_vain():
                self._let_go = True
                break
            time.sleep(_GLANCE_SECONDS)
        query.stop()

    def check(self, query: StreamingQuery) -> None:
        """Raise what ended the query, unless it was asked to stop."""
        ended = self.failure or (None if self._let_go else query.exception())
        if ended is not None and not isinstance(ended, Stopping):
            raise ended

    def _between(self, query: StreamingQuery) -> bool:
        """Whether all that was done is committed; with `stop` set, nothing new begins."""
        if self._running:
            return False
        last = query.lastProgress
        return self._finished < 0 or (last is not None and last["batchId"] >= self._finished)


@contextmanager
def signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop` while the body runs; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda *_: stop.set()) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
