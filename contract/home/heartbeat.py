"""That a query goes on: a file of its own, touched whenever Spark tells that it does.

Spark tells of each micro-batch that was committed, and every second or so that there is none to do.
A query that hangs, or whose process is killed, leaves its file as it was; one that ends removes it.
Standard library alone, so that looking costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

FOLDER = "heartbeats"
"""Below `home`."""


def file(home: Path, program: str, query: str) -> Path:
    """The file of a program's query."""
    return home / FOLDER / f"{program}-{query}"


def beat(file: Path) -> None:
    """Note that a query goes on by now; where that cannot be written, it is not."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def rest(file: Path) -> None:
    """Note that a query does not go on: it has not begun yet, or has ended."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def silent(home: Path, names: Iterable[str], seconds: float) -> Iterator[str]:
    """A sentence for each file of these names that was not touched for so many seconds, or was by a
    clock that is so far from that of now.
    """
    for name in names:
        try:
            age = abs(time.time() - (home / FOLDER / name).stat().st_mtime)
        except OSError:
            yield f"{name} has not begun, or has ended."
            continue
        if age > seconds:
            yield f"{name} has not gone on for {age:.0f} s."
