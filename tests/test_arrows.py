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
FLOORS = {
    "contract": (
        {"choices", "errors", "files", "notices", "quantities"},
        {"wire", "home"},
        {"kafka", "data"},
        {"model"},
        {"settings"},
    ),
    "keras2dml": (
        {"printable"},
        {"notebook"},
        {"errors"},
        {"backend", "structure", "keras_internals", "traits"},
        {"graph"},
        {"dml"},
        {"rules"},
        {"copying", "input_types", "check"},
        {"input_shapes"},
        {"reader"},
        {"rendering"},
        {"kernels"},
        {"systemds"},
        {"objectives"},
        {"scripts"},
        {"data"},
        {"compilation"},
        {"training"},
        {"export"},
        {"estimators"},
        {"caffe", "spark_ml"},
        {"__main__"},
    ),
    "streaming": (
        {"errors", "shares"},
        {"spark"},
        {"steps", "archive"},
        {"engines"},
        {"models"},
        {"query"},
    ),
    "digitstream": (
        {"grid"},
        {"bars"},
        {"terminal", "alive"},
        {"machine"},
        {"kafka"},
        {"flags", "accounts", "installation"},
        {"health"},
        {"dead_letters", "tables", "demo"},
        {"drills"},
        {"commands"},
        {"cli"},
        {"__main__"},
    ),
}
"""The wings and modules of a room, from the lowest to the highest: imports run down."""


def modules(tree: ast.AST, *, for_types: bool = True) -> Iterator[str]:
    """The modules that are imported, and the names that are imported from them: `a.b`, `a.b.c`;
    not `for_types`, those that are imported when it runs.
    """
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if for_types or not _is_for_types(node):
            nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(file: Path) -> set[str]:
    """The packages whose names an import in this file begins with."""
    return {name.partition(".")[0] for name in modules(ast.parse(file.read_text("utf-8")))}


@pytest.mark.parametrize("room", sorted(ARROWS))
def test_a_room_imports_only_what_its_arrows_allow(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        assert packages(file) & ROOMS <= ARROWS[room] | {room}, file


def test_streaming_needs_no_keras() -> None:
    for file in (ROOT / "streaming").rglob("*.py"):
        assert not {"keras", "tensorflow"} & packages(file), file


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_a_wing_imports_only_from_the_floors_below(room: str) -> None:
    heights = {wing: height for height, wings in enumerate(FLOORS[room]) for wing in wings}
    entries = [entry for entry in (ROOT / room).iterdir() if entry.name != "__init__.py"]
    assert {entry.stem for entry in entries if _has_code(entry)} == set(heights)
    upward = [
        f"{file.relative_to(ROOT)} imports {name}"
        for wing in heights
        for file in (ROOT / room).glob(f"{wing}/**/*.py" if _is_wing(room, wing) else f"{wing}.py")
        for name in modules(ast.parse(file.read_text("utf-8")), for_types=False)
        if name.startswith(f"{room}.")
        for imported in (name.split(".")[1],)
        if imported != wing and heights[imported] >= heights[wing]
    ]
    assert upward == []


def test_wire_and_data_need_no_client() -> None:
    for wing in ("wire", "data"):
        for file in (ROOT / "contract" / wing).rglob("*.py"):
            assert "kafka" not in packages(file), file


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _has_code(entry: Path) -> bool:
    return entry.suffix == ".py" or (entry / "__init__.py").exists()


def _is_wing(room: str, name: str) -> bool:
    return (ROOT / room / name).is_dir()
