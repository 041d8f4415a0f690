"""Deadlines and cancellation for Spark jobs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkContext

from contract.errors import ModelError
from streaming.spark.stopping import Stopping

# Seconds between two checks whether to cancel a job.
_GLANCE_SECONDS = 0.2


class TookTooLong(ModelError):
    """A job did not end in time and was cancelled."""


@contextmanager
def deadline(context: SparkContext, seconds: float, what: str) -> Iterator[None]:
    """Cancel the jobs that this thread starts in the body, and the workers that run them, if they
    take longer than `seconds` in all.

    Raises TookTooLong in that case, which names `what` took so long.
    """
    tag, late = f"deadline-{uuid.uuid4().hex}", threading.Event()

    def cancel() -> None:
        late.set()
        context.cancelJobsWithTag(tag)

    timer = threading.Timer(seconds, cancel)
    timer.daemon = True
    context.addJobTag(tag)
    timer.start()
    try:
        yield
    except Exception as exc:
        if late.is_set():
            message = f"{what} took longer than {seconds:g} s"
            raise TookTooLong(message) from exc
        raise
    finally:
        timer.cancel()
        context.removeJobTag(tag)


def check(stop: threading.Event) -> None:
    """Raise Stopping if `stop` is set."""
    if stop.is_set():
        raise Stopping


@contextmanager
def until(context: SparkContext, stop: threading.Event) -> Iterator[None]:
    """Cancel the jobs that this thread starts in the body as soon as `stop` is set.

    Raises Stopping in that case, whatever the body raised.
    """
    tag, over = f"until-{uuid.uuid4().hex}", threading.Event()

    def cancel() -> None:
        while not over.wait(_GLANCE_SECONDS):
            if stop.is_set():
                context.cancelJobsWithTag(tag)

    watcher = threading.Thread(target=cancel, name="until", daemon=True)
    context.addJobTag(tag)
    watcher.start()
    try:
        yield
        check(stop)
    except Exception as exc:
        if stop.is_set():
            raise Stopping from exc
        raise
    finally:
        over.set()
        watcher.join()
        context.removeJobTag(tag)
