"""What a person sees: progress on stderr, reports on stdout; bars only on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

SECONDS_A_LINE = 2.0
"""How often progress is told where it cannot be drawn."""

WIDTH = 120
"""Columns of a report that goes to a file or another program."""

Advance = Callable[[int, int, str], None]
"""Called with what is done by now, with all that there is to do, and a note on it."""


def console() -> Console:
    """Where progress goes."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """A line of progress."""
    console().print(sentence, markup=False)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show how far a piece of work is, while the body runs."""
    to = console()
    if to.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=to
        ) as bar:
            task = bar.add_task(what, total=None, note="")
            yield lambda done, total, note: bar.update(task, completed=done, total=total, note=note)
        return
    told, last = time.monotonic() - SECONDS_A_LINE, ""

    def advance(done: int, total: int, note: str) -> None:
        nonlocal told, last
        line = f"{what}: {done} of {total}{f', {note}' if note else ''}"
        if line != last and (time.monotonic() - told >= SECONDS_A_LINE or done == total):
            told, last = time.monotonic(), line
            to.print(line, markup=False)

    yield advance


@contextmanager
def activity(what: str) -> Iterator[Callable[[str], None]]:
    """Show that something goes on whose end is not known, and its latest news."""
    to = console()
    if to.is_terminal:
        with to.status(what) as status:
            yield lambda news: status.update(f"{what}: {news}")
        return
    to.print(f"{what} ...", markup=False)
    yield lambda news: to.print(f"{what}: {news}", markup=False)


def report(value: Mapping[str, Any], picture: Callable[[], RenderableType], as_json: bool) -> None:
    """Print a report: the value as JSON, or its picture for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    else:
        shown = picture()
        if isinstance(shown, str):
            sys.stdout.write(shown + "\n")
        else:
            width = None if sys.stdout.isatty() else WIDTH
            Console(highlight=False, width=width).print(shown)
