"""What is drawn for a person, and text from elsewhere in it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from digitstream.grid import Grid, boxed, escaped, escaped_json, plain

HOSTILE = (
    "[/x][red]\x1b[2J\x1b]8;;http://x\x07\x9b31m\r\n\t\u202egnp\u2066\u200b\ue000\ud800\\n:smile:"
)


def test_what_is_not_printable_is_escaped() -> None:
    assert escaped("plain text, ünïcode, 数字, [/x]") == "plain text, ünïcode, 数字, [/x]"
    assert escaped("\x1b[2J\r\n\x7f\x9b") == r"\x1b[2J\r\n\x7f\x9b"
    assert escaped("\u202e\u2066\u200b\u2028\U000e0041\ud800") == (
        r"\u202e\u2066\u200b\u2028\U000e0041\ud800"
    )
    assert escaped(HOSTILE).isprintable()
    assert escaped(escaped(HOSTILE)) == escaped(HOSTILE)


def test_json_stays_the_same_json() -> None:
    value = {HOSTILE: [HOSTILE, "数", "\U0001f600", "\x7f"]}
    text = escaped_json(json.dumps(value, ensure_ascii=False))
    assert text.isascii() and text.isprintable()
    assert json.loads(text) == value


def test_a_plain_table_has_columns_and_no_boxes() -> None:
    grid = Grid(
        ("name", "of rows"),
        [("a", "10000"), ("数字", ""), ("\x1b[31m", "7")],
        title="Tables",
        right=("of rows",),
        last=("all", "10007"),
        note="No more.",
    )
    assert plain(grid) == [
        "Tables",
        "name      of rows",
        "a           10000",
        "数字",
        "\\x1b[31m        7",
        "all         10007",
        "No more.",
    ]
    assert plain(Grid(("name",), [])) == ["name"]


@pytest.mark.parametrize("width", [20, 200])
def test_a_boxed_table_takes_any_text(width: int) -> None:
    row = (HOSTILE, "[bold]")
    grid = Grid((HOSTILE, "b"), [row], title=HOSTILE, last=row, note=HOSTILE)
    drawn = io.StringIO()
    Console(file=drawn, width=width, force_terminal=False).print(boxed(grid))
    assert drawn.getvalue().replace("\n", "").isprintable()
    assert "┏" in drawn.getvalue() and "[bold]" in drawn.getvalue()
