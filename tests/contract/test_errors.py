"""The map of our errors is the tree that the classes are."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from contract import errors

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("contract", "digitstream", "producers", "streaming", "training")


def classes() -> dict[str, tuple[str, str]]:
    """Each error below DigitstreamError -> the class that it extends, and its module."""
    bases = {
        node.name: (node.bases[0].id, ".".join(file.relative_to(ROOT).with_suffix("").parts))
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.bases and isinstance(node.bases[0], ast.Name)
    }
    return {name: entry for name, entry in bases.items() if _is_ours(name, bases)}


def _is_ours(name: str, bases: dict[str, tuple[str, str]]) -> bool:
    while name in bases:
        name = bases[name][0]
        if name == "DigitstreamError":
            return True
    return False


def picture(parent: str, tree: dict[str, tuple[str, str]], indent: str = "") -> Iterator[str]:
    """The classes below one, a line each, with the module of those that lie elsewhere."""
    for name in sorted(child for child, (base, _) in tree.items() if base == parent):
        module = tree[name][1]
        yield f"{indent}{name}" + (f" ({module})" if module != errors.__name__ else "")
        yield from picture(name, tree, f"{indent}  ")


def test_the_docstring_draws_the_tree_of_all_errors() -> None:
    tree = classes()
    assert len(tree) > 40
    lines = "\n".join(["    DigitstreamError", *picture("DigitstreamError", tree, "      ")])
    assert lines in str(errors.__doc__), lines


def test_each_error_has_a_name_of_its_own() -> None:
    tree = classes()
    names = Counter(
        node.name
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name in tree
    )
    assert {name for name, count in names.items() if count > 1} == set()
