"""Heartbeats from Spark's events of a session's queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from contract.home import heartbeat
from streaming.spark.events import listening


@contextmanager
def beating(spark: SparkSession, home: Path, program: str) -> Iterator[None]:
    """Write a heartbeat for each named query that is started while the body runs."""
    listener = _Listener(home, program)
    try:
        with listening(spark, listener):
            yield
    finally:
        listener.clear()


class _Listener:
    """Beats for each query, by its id."""

    def __init__(self, home: Path, program: str) -> None:
        self._home, self._program = home, program
        self._files: dict[str, Path] = {}

    def on_start(self, query: str, name: str | None) -> None:
        self._files[query] = heartbeat.file(self._home, self._program, str(name))
        heartbeat.clear(self._files[query])

    def on_progress(self, progress: dict[str, Any]) -> None:
        self._beat(progress["id"])

    def on_idle(self, query: str) -> None:
        self._beat(query)

    def on_end(self) -> None:
        """Nothing yet: `clear` removes all files."""

    def clear(self) -> None:
        """Remove the heartbeats of all queries."""
        for file in self._files.values():
            heartbeat.clear(file)

    def _beat(self, query: str) -> None:
        if query in self._files:
            heartbeat.beat(self._files[query])
