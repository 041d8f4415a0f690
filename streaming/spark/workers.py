"""Removes delays of Spark's Python workers; called in a worker, for all its later tasks.

They are the greater part of the 60 ms of a task with ten readings.
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
    """Let this worker's next tasks start without delay."""
    _keep_zip_directories()
    _acknowledge_at_once()


@cache
def keep_what_is_loaded() -> None:
    """Exclude modules and models, which stay loaded, from this worker's garbage collection.

    Spark's worker collects garbage after each task: 10 ms with what engines import.
    """
    gc.collect()
    gc.freeze()


def _keep_zip_directories() -> None:
    """Stop this worker from reading the directories of Spark's zip archives again for every task.

    Spark's worker invalidates the import caches before each task, and zip importers then read their
    archives again: 40 to 60 ms. The archives do not change while Spark runs.
    """
    importer: Any = zipimport.zipimporter
    importer.invalidate_caches = lambda self: None


def _acknowledge_at_once() -> None:
    """Let the kernel acknowledge the JVM's packets as soon as a task has read them.

    The JVM sends a task in two parts. Nagle's algorithm delays the second until the first is
    acknowledged, which the receiver's kernel delays by 40 ms in case it has data to send.
    """
    daemon: Any = sys.modules["__main__"]
    work = getattr(daemon, "worker_main", None)
    if work is None or not hasattr(socket, "TCP_QUICKACK"):
        return

    def main(infile: Any, outfile: Any) -> None:
        work(io.BufferedReader(_Acknowledging(infile.raw), 1 << 16), outfile)

    daemon.worker_main = main


class _Acknowledging(io.RawIOBase):
    """Bytes from a TCP socket, acknowledged as soon as they are read."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._socket = socket.socket(fileno=os.dup(raw.fileno()))

    def readable(self) -> bool:
        """Always True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read bytes into the buffer; returns how many."""
        count: int | None = self._raw.readinto(buffer)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return count

    def close(self) -> None:
        """Close our duplicate of the socket; the worker's stays open."""
        self._socket.close()
        super().close()
