"""What is private in Keras is used in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parents[2] / "keras2dml"
HOME = "keras_internals.py"
OF_PYSPARK = ("systemds", "spark_ml.py")
"""Where it is PySpark and py4j whose private attributes are used."""
NAMED = ("getattr", "setattr", "hasattr", "delattr")


def privates(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the text of each use of a private attribute of what is not one's own."""
    ours = set(members(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            # In `self` a class may use what the one that it subclasses keeps for it.
            of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            of_base = isinstance(node.value, ast.Call) and ast.unparse(node.value) == "super()"
            if not (of_self or of_base or node.attr in ours):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in NAMED and len(node.args) > 1:
            name = (
                node.args[1].values[0] if isinstance(node.args[1], ast.JoinedStr) else node.args[1]
            )
            if isinstance(name, ast.Constant) and is_private(str(name.value)):
                yield node.lineno, ast.unparse(node)


def members(tree: ast.AST) -> Iterator[str]:
    """The names of the methods and attributes of the classes in a module."""
    for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for node in ast.walk(kind):
            if isinstance(node, ast.FunctionDef):
                yield node.name
            elif isinstance(getattr(node, "ctx", None), ast.Store):
                yield ast.unparse(node).removeprefix("self.")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_private_attributes_of_keras_are_used_in_one_module() -> None:
    files = [file for file in ROOM.rglob("*.py") if file != ROOM / HOME]
    assert len(files) > 100
    assert [
        f"{path}:{line}: {text}"
        for file in files
        for path in [file.relative_to(ROOM)]
        if str(path.parts[0]) not in OF_PYSPARK
        for line, text in privates(ast.parse(file.read_text("utf-8")))
    ] == []


def test_the_module_has_no_attribute_that_it_does_not_need() -> None:
    texts = [file.read_text("utf-8") for file in ROOM.rglob("*.py") if file != ROOM / HOME]
    tree = ast.parse((ROOM / HOME).read_text("utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 30
    unused = [name for name in functions if not any(f"{name}(" in text for text in texts)]
    assert unused == ["function_of"]  # by functions beside it


@pytest.mark.parametrize(
    ("line", "uses"),
    [
        ("model._flatten_layers()", 1),
        ("self.model._functional", 1),
        ("getattr(model, '_metrics', None)", 1),
        ("getattr(model, f'_{kind}_struct')", 1),
        ("model._layers[0]._keras_history", 2),
        ("self._velocities", 0),
        ("super()._build()", 0),
        ("model.__class__", 0),
        ("class A:\n    def _layers(self): ...\nA()._layers()", 0),
    ],
)
def test_private_attributes_are_seen(line: str, uses: int) -> None:
    assert len([*privates(ast.parse(line))]) == uses
