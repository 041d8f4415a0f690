"""Heartbeats from Spark's events of a session's queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from contract.home import heartbeat


@contextmanager
def beating(spark: SparkSession, home: Path, program: str) -> Iterator[None]:
    """Write a heartbeat for each named query that is started while the body runs."""
    listener = _Listener(home, program)
    spark.streams.addListener(listener)
    try:
        yield
    finally:
        spark.streams.removeListener(listener)
        listener.clear()


class _Listener(StreamingQueryListener):
    """Spark calls it in another thread, so that it delays no query."""

    def __init__(self, home: Path, program: str) -> None:
        self._home, self._program = home, program
        self._files: dict[object, Path] = {}

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        self._files[event.id] = heartbeat.file(self._home, self._program, str(event.name))
        heartbeat.clear(self._files[event.id])

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        self._beat(event.progress.id)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        self._beat(event.id)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        """Nothing yet: `clear` removes all files."""

    def clear(self) -> None:
        """Remove the heartbeats of all queries."""
        for file in self._files.values():
            heartbeat.clear(file)

    def _beat(self, query: object) -> None:
        if query in self._files:
            heartbeat.beat(self._files[query])
