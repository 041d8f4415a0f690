"""Bars for progress on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from digitstream.grid import escaped


@contextmanager
def bar(console: Console, what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar while the body runs; it is advanced by the count so far, the total, and a note."""
    columns = (_column("{task.description}"), BarColumn(), MofNCompleteColumn())
    note_column = _column("{task.fields[note]}")
    with Progress(*columns, TimeElapsedColumn(), note_column, console=console) as progress:
        task = progress.add_task(escaped(what), total=None, note="")
        yield lambda done, total, note: progress.update(
            task, completed=done, total=total, note=escaped(note)
        )


def _column(text: str) -> TextColumn:
    return TextColumn(text, markup=False)
