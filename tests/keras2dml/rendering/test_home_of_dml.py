"""DML is written where its library, its passes and its scripts are, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOM = Path(__file__).resolve().parents[3] / "keras2dml"
HOMES = ("dml", "rendering", "scripts")
DML = re.compile(
    r"\b(?:nrow|ncol|as\.scalar|as\.matrix|cbind|rbind|rowSums|colSums)\(|%\*%|%/%|\bcols="
)


def dml_of(tree: ast.Module) -> Iterator[int]:
    """The lines of strings with DML, without docstrings."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and id(node) not in documentation and DML.search(text):
            yield node.lineno


def test_dml_is_written_in_three_wings() -> None:
    homes: dict[bool, list[str]] = {True: [], False: []}
    for file in ROOM.rglob("*.py"):
        path = file.relative_to(ROOM)
        lines = dml_of(ast.parse(file.read_text("utf-8")))
        homes[path.parts[0] in HOMES] += [f"{path}:{line}" for line in lines]
    assert len(homes[True]) > 30
    assert homes[False] == []
