"""Output for people: progress on stderr, reports on stdout; bars and boxes only on a terminal.

Everything a command prints goes through this module, which escapes text from outside.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.text import Text

from contract.notices import Notice
from digitstream.grid import Grid, boxed, escaped, escaped_json, plain

SECONDS_A_LINE = 2.0
"""Time between two lines of progress where no bar can be drawn."""

Advance = Callable[[int, int, str], None]
"""Called with the count done so far, the total, and a note."""

Picture = Grid | str | Sequence[Grid | str]
"""A report for a person; a string is one line."""


class Volume(IntEnum):
    """How much to print besides reports, notices and errors."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_volume = Volume.NORMAL


def begin() -> None:
    """Prepare the streams for any text, and reset the volume to normal."""
    global _volume  # noqa: PLW0603  (one process is one command)
    _volume = Volume.NORMAL
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it
    sys.excepthook = _crash


def set_volume(volume: Volume) -> None:
    """Print less or more from now on.

    VERBOSE adds tracebacks, and what Python and Java libraries log.
    """
    global _volume  # noqa: PLW0603
    _volume = volume
    if volume is Volume.VERBOSE:
        os.environ["KERAS2DML_LOG_LEVEL"] = "info"
        logging.root.addHandler(_Handler())
        logging.root.setLevel(logging.INFO)


class _Handler(logging.Handler):
    """Prints what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in f"{record.levelname} {record.name}: {record.getMessage()}".splitlines():
            say(line)


def console() -> Console:
    """The console for progress."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """Print a line of progress, or a notice, which even QUIET prints."""
    if _volume > Volume.QUIET or isinstance(sentence, Notice):
        sys.stderr.write(escaped(sentence) + "\n")
        sys.stderr.flush()


def complain(error: BaseException) -> None:
    """Print an error. Lines that begin with two spaces stay lines of their own."""
    lines = [escaped(line) for line in re.split(r"\n(?=  )", str(error))]
    if _volume is Volume.VERBOSE:
        frames = "".join(traceback.format_exception(error)).splitlines()
        lines = [*map(escaped, frames), *lines]
    sys.stderr.write("\n".join(lines) + "\n")


def _crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an unexpected error."""
    lines = "".join(traceback.format_exception(kind, error, trace)).splitlines()
    sys.stderr.write("".join(f"{escaped(line)}\n" for line in lines))


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show the progress of a task while the body runs."""
    to = console()
    if to.is_terminal and _volume > Volume.QUIET:
        from digitstream import bars

        with bars.bar(to, what) as advance_bar:
            yield advance_bar
        return
    last_time, last = time.monotonic() - SECONDS_A_LINE, ""

    def advance(done: int, total: int, note: str) -> None:
        nonlocal last_time, last
        line = f"{what}: {done} of {total}{f', {note}' if note else ''}"
        if line != last and (time.monotonic() - last_time >= SECONDS_A_LINE or done == total):
            last_time, last = time.monotonic(), line
            say(line)

    yield advance


@contextmanager
def activity(what: str) -> Iterator[Callable[[str], None]]:
    """Show that a task of unknown length is running, and its latest news."""
    to = console()
    if to.is_terminal and _volume > Volume.QUIET:
        with to.status(Text(escaped(what))) as status:
            yield lambda news: status.update(Text(escaped(f"{what}: {news}")))
        return
    say(f"{what} ...")
    yield lambda news: say(f"{what}: {news}")


def report(value: Mapping[str, Any], picture: Callable[[], Picture], as_json: bool) -> None:
    """Print a report: the value as JSON, or its picture for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
        return
    parts = picture()
    before: Grid | str | None = None
    for part in (parts,) if isinstance(parts, Grid | str) else parts:
        if before is not None and not (isinstance(part, str) and isinstance(before, str)):
            sys.stdout.write("\n")
        _draw(part)
        before = part


def _draw(part: Grid | str) -> None:
    if isinstance(part, str):
        sys.stdout.write(escaped(part) + "\n")
    elif sys.stdout.isatty():
        Console(highlight=False, markup=False, emoji=False).print(boxed(part))
    else:
        sys.stdout.write("\n".join(plain(part)) + "\n")


def write(lines: Iterable[str]) -> None:
    """Print the lines of a report as they arrive."""
    for line in lines:
        sys.stdout.write(escaped(line) + "\n")
    sys.stdout.flush()


def write_json(objects: Iterable[str]) -> None:
    """Print JSON objects as an array, one per line, as they arrive."""
    before = "[\n"
    for text in objects:
        sys.stdout.write(f"{before}{escaped_json(text)}")
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")
    sys.stdout.flush()
