"""Limits for Spark queries: a time limit, and one sentence if the JVM does not survive a query."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.sql import SparkSession

from contract.errors import ProgramError
from digitstream.machine.processes import end
from digitstream.machine.subcommands import stop_on_signals

GRACE_SECONDS = 5.0
"""How long a cancelled query may take to end before its JVM is killed."""

_BROKEN = (Py4JNetworkError, ConnectionRefusedError, ConnectionResetError, EOFError)


class QueryStopped(ProgramError):
    """A query took more time or memory than it may."""


@contextmanager
def open_session(start: Callable[[], SparkSession]) -> Iterator[SparkSession]:
    """A session that ends with the body, and removes its temporary files from this machine.

    Raises QueryStopped if its JVM ends earlier, as it does when it runs out of memory.
    """
    before = os.environ.get("SPARK_LOCAL_DIRS")
    with tempfile.TemporaryDirectory(prefix="digitstream-", ignore_cleanup_errors=True) as folder:
        # A JVM that is killed, or that has no memory left, does not tidy up.
        os.environ["SPARK_LOCAL_DIRS"] = folder
        try:
            spark = start()
        finally:
            _restore("SPARK_LOCAL_DIRS", before)
        memory = spark.sparkContext.getConf().get("spark.driver.memory")
        try:
            with _without_logs():
                yield spark
        except QueryStopped:
            raise  # its JVM may have had to be ended for that
        except Exception as exc:
            if _has_ended(_jvm(spark), exc):
                message = (
                    f"Spark ended during the query (exit code {_jvm(spark).returncode}). It has "
                    f"the memory of one JVM, {memory}. Ask for less at a time."
                )
                raise QueryStopped(message) from exc
            raise
        finally:
            with suppress(Py4JError, OSError), _without_logs():
                spark.stop()


@contextmanager
def time_limit(spark: SparkSession, seconds: float) -> Iterator[None]:
    """Limit the time of the body's queries: cancel them after `seconds`, then end their JVM.

    Raises QueryStopped if they were cancelled. A stop signal ends the JVM at once.
    """
    jvm, late = _jvm(spark), threading.Event()

    def cancel() -> None:
        late.set()
        with suppress(Py4JError, OSError):
            spark.sparkContext.cancelAllJobs()

    timers = [
        threading.Timer(seconds, cancel),
        threading.Timer(seconds + GRACE_SECONDS, _end, (jvm,)),
    ]
    # Spark's own handler asks the JVM to cancel on the connection that waits for its answer.
    with stop_on_signals():
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
                    f"The query was stopped after {seconds:g} s, the most that it may take. Ask "
                    f"for less, or allow more with --query-timeout."
                )
                raise QueryStopped(message) from exc
            raise
        finally:
            for timer in timers:
                timer.cancel()


@contextmanager
def _without_logs() -> Iterator[None]:
    """Keep py4j from logging a traceback for a broken connection, which raises anyway."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _restore(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value


def _jvm(spark: SparkSession) -> subprocess.Popen[bytes]:
    process: subprocess.Popen[bytes] = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    return process


def _end(jvm: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        end(psutil.Process(jvm.pid), GRACE_SECONDS)
    jvm.wait()


def _has_ended(jvm: subprocess.Popen[bytes], error: Exception) -> bool:
    """Whether the JVM has ended; a broken connection may be noticed a little earlier."""
    if isinstance(error, _BROKEN):
        with suppress(subprocess.TimeoutExpired):
            jvm.wait(GRACE_SECONDS)
    return jvm.poll() is not None
