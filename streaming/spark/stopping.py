"""Stops queries between two micro-batches, on a signal or after a failure."""

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
    """Ends the query before its next micro-batch."""


@dataclass(eq=False)
class Batches:
    """The micro-batches of one query; none begins once `stop` is set.

    `failure` is the error that ended the query, if there was one.
    """

    stop: threading.Event
    failure: Exception | None = None
    _is_abandoned: bool = False
    _is_running: bool = False
    _finished: int = -1

    @contextmanager
    def running(self, batch: int) -> Iterator[None]:
        """Run the body as a micro-batch; raises Stopping instead if `stop` is set."""
        self._is_running = True
        try:
            if self.stop.is_set():
                raise Stopping
            yield
            self._finished = batch
        except Exception as exc:
            # Stopping a service also stops its workers.
            self.failure = self.failure or (Stopping() if self.stop.is_set() else exc)
            raise
        finally:
            self._is_running = False

    def end(self, failure: Exception) -> None:
        """Begin no further micro-batch because of a failure outside of them."""
        self.failure = self.failure or failure
        self.stop.set()

    def follow(self, query: StreamingQuery, is_futile: Callable[[], bool] = lambda: False) -> None:
        """Wait until the query has ended, or stop it after its current micro-batch once `stop` is
        set. If waiting for it `is_futile`, the micro-batch is abandoned; the next start repeats it.
        """
        while query.isActive and not self.stop.wait(4 * _GLANCE_SECONDS):
            pass
        while query.isActive and not self._between(query):
            if is_futile():
                self._is_abandoned = True
                break
            time.sleep(_GLANCE_SECONDS)
        query.stop()

    def check(self, query: StreamingQuery) -> None:
        """Raise the error that ended the query, unless it was asked to stop."""
        failure = self.failure or (None if self._is_abandoned else query.exception())
        if failure is not None and not isinstance(failure, Stopping):
            raise failure

    def _between(self, query: StreamingQuery) -> bool:
        """Whether the last micro-batch is committed; with `stop` set, no other begins."""
        if self._is_running:
            return False
        last = query.lastProgress
        return self._finished < 0 or (last is not None and last["batchId"] >= self._finished)


@contextmanager
def signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop` while the body runs; does nothing outside of the main
    thread.
    """
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
