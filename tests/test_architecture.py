"""The walks of docs/architecture.md: each step is there, and tied to one before it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
STEP = re.compile(r"^\d+\. `([\w.]+)`", re.MULTILINE)


def walks() -> dict[str, list[str]]:
    """The title of each walk -> the functions that it goes through, in their order."""
    sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    titled = {section.partition("\n")[0]: STEP.findall(section) for section in sections}
    return {title: steps for title, steps in titled.items() if steps}


def identifiers(name: str) -> set[str]:
    """The names that a function or class uses, its decorators among it; fails if there is none."""
    parts = name.split(".")
    at = next(at for at in range(len(parts), 0, -1) if _file(parts[:at]) is not None)
    file = _file(parts[:at])
    assert file is not None
    node: ast.AST = ast.parse(file.read_text("utf-8"))
    for part in parts[at:]:
        [node] = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name == part
        ]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef), name
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names | {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}


def _file(parts: list[str]) -> Path | None:
    path = ROOT.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def own_names(name: str) -> set[str]:
    """How others name a function: by its name, or by the class whose method it is."""
    *_, owner, last = name.split(".")
    return {word for word in (last, owner if owner[:1].isupper() else last) if word[:2] != "__"}


def test_there_are_three_walks() -> None:
    assert [len(steps) > 5 for steps in walks().values()] == [True] * 3


@pytest.mark.parametrize("title", walks())
def test_each_step_is_tied_to_one_before_it(title: str) -> None:
    """One names the other, or both use one table, whose name is in capitals."""
    steps = walks()[title]
    uses = {step: identifiers(step) for step in steps}
    for at, step in enumerate(steps[1:], 1):
        earlier = steps[:at]
        assert any(
            uses[before] & own_names(step)
            or uses[step] & own_names(before)
            or any(name.isupper() for name in uses[before] & uses[step])
            for before in earlier
        ), step


def test_importing_the_contract_loads_no_client() -> None:
    code = "import contract, sys; print(sorted({'kafka', 'numpy'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
    with pytest.raises(ImportError):
        exec("from contract import Nothing")
