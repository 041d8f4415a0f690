"""Bounds for a query: its time, and one sentence where its JVM does not survive it."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.sql import SparkSession

from contract.errors import DigitstreamError
from digitstream.processes import end

GRACE_SECONDS = 5.0
"""How long a query that was cancelled may take to end before its JVM is ended."""


# It says at length in what thread there was no memory.
_LAST_WORDS = "org.apache.spark.util.SparkUncaughtExceptionHandler"
_BROKEN = (Py4JNetworkError, ConnectionRefusedError, ConnectionResetError, EOFError)


class QueryStopped(DigitstreamError):
    """A query took more time or memory than it may."""


@contextmanager
def within(spark: SparkSession, seconds: float) -> Iterator[None]:
    """Let the body's queries take so many seconds, then cancel them, then end their JVM.

    Raises QueryStopped for that, and if the JVM ends by itself, as it does without memory. The
    session is of no use afterwards.
    """
    jvm: subprocess.Popen[bytes] = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    memory = spark.sparkContext.getConf().get("spark.driver.memory")
    late = threading.Event()

    def cancel() -> None:
        late.set()
        with suppress(Py4JError, OSError):
            spark.sparkContext.cancelAllJobs()

    timers = [
        threading.Timer(seconds, cancel),
        threading.Timer(seconds + GRACE_SECONDS, _end, (jvm,)),
    ]
    log4j: Any = spark._jvm.org.apache.logging.log4j  # type: ignore[union-attr]
    log4j.core.config.Configurator.setLevel(_LAST_WORDS, log4j.Level.OFF)
    # Spark's handler asks the JVM to cancel on the connection that waits for its answer.
    with _signals(), _without_logs():
        try:
            for timer in timers:
                timer.daemon = True
                timer.start()
            yield
        except KeyboardInterrupt:
            _end(jvm)
            raise
        except Exception as exc:
            if late.is_set():
                message = (
                    f"The query was stopped after {seconds:g} s. That is the time that it may "
                    f"take. Ask for less, or allow more with --query-timeout."
                )
                raise QueryStopped(message) from exc
            if _has_ended(jvm, exc):
                message = (
                    f"Spark ended over the query (exit code {jvm.returncode}). A query has the "
                    f"memory of one JVM, {memory}. Ask for less at a time."
                )
                raise QueryStopped(message) from exc
            raise
        finally:
            for timer in timers:
                timer.cancel()


def stop(spark: SparkSession) -> None:
    """Stop a session, also one whose JVM is gone."""
    with suppress(Py4JError, OSError), _without_logs():
        spark.stop()


@contextmanager
def _without_logs() -> Iterator[None]:
    """Let py4j log no traceback for a connection that breaks, which an exception tells."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _signals() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the body, and nothing else."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(jvm: subprocess.Popen[bytes]) -> None:
    """End a JVM; asked first, it removes its temporary files."""
    with suppress(psutil.NoSuchProcess):
        end(psutil.Process(jvm.pid), GRACE_SECONDS)
    jvm.wait()


def _has_ended(jvm: subprocess.Popen[bytes], error: Exception) -> bool:
    """Whether the JVM is gone, which a broken connection to it may tell a little earlier."""
    if isinstance(error, _BROKEN):
        with suppress(subprocess.TimeoutExpired):
            jvm.wait(GRACE_SECONDS)
    return jvm.poll() is not None
