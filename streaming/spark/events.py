"""Spark's events of a session's queries, read from their JSON.

pyspark's own listener reads each field with several calls to the JVM, hundreds for a micro-batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from py4j.protocol import Py4JError
from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import SparkSession


class Listener(Protocol):
    """What is called for each event, in another thread, so that it delays no query."""

    def on_start(self, query: str, name: str | None) -> None:
        """A query starts, by its id and name; the query waits for this."""

    def on_progress(self, progress: dict[str, Any]) -> None:
        """A micro-batch was committed: Spark's StreamingQueryProgress."""

    def on_idle(self, query: str) -> None:
        """A query, by its id, has had nothing to do for a while."""

    def on_end(self) -> None:
        """A query ended; all its other events have come."""


@contextmanager
def listening(spark: SparkSession, listener: Listener) -> Iterator[None]:
    """Tell a listener of the events of a session's queries while the body runs."""
    gateway: Any = spark.sparkContext._gateway
    start_callbacks: Any = ensure_callback_server_started
    start_callbacks(gateway)
    package = gateway.jvm.org.apache.spark.sql.streaming
    wrapped = package.PythonStreamingQueryListenerWrapper(_Proxy(listener))
    streams: Any = spark._jsparkSession.streams()
    streams.addListener(wrapped)
    try:
        yield
    finally:
        with suppress(Py4JError, ConnectionError):  # the JVM may have ended
            streams.removeListener(wrapped)


class _Proxy:
    """What the JVM calls."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def onQueryStarted(self, event: Any) -> None:
        self._listener.on_start(event.id().toString(), event.name())

    def onQueryProgress(self, event: Any) -> None:
        self._listener.on_progress(json.loads(event.progress().json()))

    def onQueryIdle(self, event: Any) -> None:
        self._listener.on_idle(event.id().toString())

    def onQueryTerminated(self, _: Any) -> None:
        self._listener.on_end()

    class Java:
        implements = ("org.apache.spark.sql.streaming.PythonStreamingQueryListener",)
