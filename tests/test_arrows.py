"""Who may import whom: the house's arrows, read from the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"contract", "keras2dml", "producers", "streaming", "training", "digitstream", "bench"}
ARROWS = {
    "contract": set[str](),
    "keras2dml": set[str](),
    "producers": {"contract"},
    "streaming": {"contract", "keras2dml"},
    "training": {"contract", "keras2dml"},
    "digitstream": ROOMS,
    "bench": ROOMS,
}


def imported(tree: ast.AST) -> Iterator[str]:
    """The packages whose names an import in this module begins with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_a_room_imports_only_what_its_arrows_allow(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        found = set(imported(ast.parse(file.read_text()))) & ROOMS
        assert found <= ARROWS[room] | {room}, file


def test_streaming_needs_no_keras() -> None:
    for file in (ROOT / "streaming").rglob("*.py"):
        assert not {"keras", "tensorflow"} & set(imported(ast.parse(file.read_text()))), file
