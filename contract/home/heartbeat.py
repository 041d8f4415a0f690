"""Heartbeats: a file per query, touched whenever Spark reports that the query is running.

Spark reports each committed micro-batch, and every second or so that there is nothing to do. If a
query hangs or its process is killed, the file gets old; a query that ends removes its file.
Imports only the standard library, so that checking is cheap.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

FOLDER = "heartbeats"
"""The folder of the files, in HOME."""


def file(home: Path, program: str, query: str) -> Path:
    """The heartbeat file of a program's query."""
    return home / FOLDER / f"{program}-{query}"


def beat(file: Path) -> None:
    """Touch a query's file; ignores files that cannot be written."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def clear(file: Path) -> None:
    """Remove a query's file: the query has not started yet, or has ended."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def stale_messages(home: Path, names: Iterable[str], seconds: float) -> Iterator[str]:
    """A sentence for each of these files that is missing, or whose time is more than so many
    seconds away from now.
    """
    for name in names:
        try:
            age = abs(time.time() - (home / FOLDER / name).stat().st_mtime)
        except OSError:
            yield f"{name} has not started, or has ended."
            continue
        if age > seconds:
            yield f"{name} has made no progress for {age:.0f} s."
