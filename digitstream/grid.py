"""Tables for a person: boxed on a terminal, plain columns in a file or a pipe.

This is the one place where text from outside is made harmless: whatever is drawn here, and
whatever `digitstream.terminal` prints, goes through `escaped`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rich.box import HEAVY_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

GAP = "  "
"""Between the columns of a plain table."""


@dataclass(frozen=True)
class Grid:
    """Rows of strings under column names; the strings may hold anything.

    `right` names the right-aligned columns, `last` is a row of totals.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    right: Collection[str] = field(default_factory=frozenset)
    last: Sequence[str] | None = None
    note: str = ""

    @property
    def lines(self) -> list[Sequence[str]]:
        """All rows."""
        return [*self.rows, *([] if self.last is None else [self.last])]


def escaped(text: str) -> str:
    """The text on one line, without effect on a terminal.

    What Python does not call printable becomes an escape: control characters, including line
    breaks and tabs, bidirectional marks, invisible characters and unassigned code points. A
    backslash stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def escaped_json(text: str) -> str:
    r"""The same JSON in printable ASCII; other characters in its strings become \uXXXX."""
    return re.sub(r"[^\x20-\x7e]", lambda match: _units(match[0]), text)


def _units(character: str) -> str:
    code = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{code[at : at + 2].hex()}" for at in range(0, len(code), 2))


def plain(grid: Grid) -> list[str]:
    """The lines of a table in plain columns: title, column names, rows."""
    names = [escaped(name) for name in grid.columns]
    rows = [names, *([escaped(text) for text in row] for row in grid.lines)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = [
        GAP.join(
            _padded(text, width, right=name in grid.right)
            for text, width, name in zip(row, widths, grid.columns, strict=True)
        ).rstrip()
        for row in rows
    ]
    title, note = ([escaped(text)] if text else [] for text in (grid.title, grid.note))
    return [*title, *lines, *note]


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return f"{space}{text}" if right else f"{text}{space}"


def boxed(grid: Grid) -> Table:
    """The table for a terminal of any width; long strings are folded."""
    table = Table(
        title=_text(grid.title) if grid.title else None,
        caption=_text(grid.note) if grid.note else None,
        title_justify="left",
        caption_justify="left",
        box=HEAVY_HEAD,
    )
    for name in grid.columns:
        table.add_column(
            _text(name), justify="right" if name in grid.right else "left", overflow="fold"
        )
    for row in grid.lines:
        if row is grid.last:
            table.add_section()
        table.add_row(*map(_text, row))
    return table


def _text(foreign: str) -> Text:
    """A Text, which rich prints as it is; in a string it would look for markup."""
    return Text(escaped(foreign))
