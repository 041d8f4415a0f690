"""What Spark's Python workers wait for and need not; done in a worker, for all its tasks to come.

Of a task of some ten readings, 60 ms, these are the greater part.
"""

from __future__ import annotations

import gc
import io
import os
import socket
import sys
import zipimport
from functools import cache
from typing import Any


@cache
def hasten() -> None:
    """Let this worker's next tasks begin at once."""
    _keep_zip_directories()
    _acknowledge_at_once()


@cache
def keep_what_is_loaded() -> None:
    """Stop this worker from looking for garbage among modules and models, which stay.

    Spark's worker has all of Python's objects looked through after each task: 10 ms for what
    engines import.
    """
    gc.collect()
    gc.freeze()


def _keep_zip_directories() -> None:
    """Stop this worker from reading the directories of Spark's archives again for every task.

    Spark's worker drops the import system's caches before each task, and the importers of zip
    files then read their archives again: 40 to 60 ms. Archives do not change while Spark runs.
    """
    importer: Any = zipimport.zipimporter
    importer.invalidate_caches = lambda self: None


def _acknowledge_at_once() -> None:
    """Let the kernel tell the JVM of what it sent as soon as a task has read it.

    The JVM sends a task in two parts. Nagle's algorithm holds the second back until the first is
    acknowledged, for which the receiver's kernel waits 40 ms, in case it has something to send.
    """
    daemon: Any = sys.modules["__main__"]
    work = getattr(daemon, "worker_main", None)
    if work is None or not hasattr(socket, "TCP_QUICKACK"):
        return

    def main(infile: Any, outfile: Any) -> None:
        work(io.BufferedReader(_Acknowledging(infile.raw), 1 << 16), outfile)

    daemon.worker_main = main


class _Acknowledging(io.RawIOBase):
    """Bytes from a TCP socket, each part acknowledged when it is read."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._socket = socket.socket(fileno=os.dup(raw.fileno()))

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read some bytes; returns how many."""
        count: int | None = self._raw.readinto(buffer)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return count

    def close(self) -> None:
        """Close our hold on the socket; the worker's own stays as it is."""
        self._socket.close()
        super().close()
