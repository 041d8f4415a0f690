"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bench", "contract", "digitstream", "keras2dml", "producers", "streaming", "training")
LONGEST = 300
MOST_MODULES = 15
"""Modules of one folder, beside its `__init__`; a folder with one rule each may have more."""
CATALOGUES = ("keras2dml/rules",)
MOST_NAMESAKES = 3

# A package index or registry, by address: whoever installs chooses where from.
INDEX = re.compile(
    r"https?://[^\s\"']*/(simple|maven2|pool)\b|index-url|\bresolved\"?:\s*\"?https?:"
)


def committed(*endings: str) -> list[Path]:
    """The files of the checkout that are ours, by the end of their names."""
    top = [file for file in ROOT.iterdir() if file.is_file()]
    below = [
        file
        for room in (*ROOMS, "tests", "scripts", "docs", ".ci")
        for file in (ROOT / room).rglob("*")
    ]
    return [file for file in (*top, *below) if file.name.endswith(endings) and file.is_file()]


def test_files_are_short() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for file in committed(".py", ".dml")
        if (lines := len(file.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def modules() -> list[Path]:
    """The modules of the rooms, by their paths in the checkout, but for `__init__` and the like."""
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return [file.relative_to(ROOT) for file in files if not file.name.startswith("__")]


def test_folders_are_small() -> None:
    sizes = Counter(str(file.parent) for file in modules())
    assert len(sizes) > 20
    assert {folder for folder, size in sizes.items() if size > MOST_MODULES} <= {*CATALOGUES}


def test_few_modules_share_a_name() -> None:
    names = Counter(file.stem for file in modules())
    assert {name: count for name, count in names.items() if count > MOST_NAMESAKES} == {}


def test_tests_lie_where_what_they_test_lies() -> None:
    folders = {
        file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests").rglob("test_*.py")
    }
    assert len(folders) > 20
    assert [str(folder) for folder in folders if not (ROOT / folder).is_dir()] == []


def test_no_file_names_a_package_index() -> None:
    texts = committed(
        ".py", ".md", ".toml", ".lock", ".yml", ".yaml", ".sh", "Makefile", "Dockerfile"
    )
    assert len(texts) > 50
    assert [
        file for file in texts if INDEX.search(file.read_text()) and file != Path(__file__)
    ] == []


TEXT = {"read_text": 0, "write_text": 1}
"""What reads and writes text, and how many arguments come before the encoding."""


def test_text_has_an_encoding_whatever_the_locale_is() -> None:
    without = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in committed(".py")
        if "tests" not in file.parts
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and len(call.args) == TEXT.get(call.func.attr)
        and all(keyword.arg != "encoding" for keyword in call.keywords)
    ]
    assert without == []


def test_the_lock_has_a_hash_for_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    names = re.findall(r"^[a-z0-9][^\s=]*==", lock, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert len(names) == len(blocks) > 100
    assert all("--hash=sha256:" in block for block in blocks)


def test_each_guarantee_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", text)
    promises = [line for line in text.splitlines() if re.match(r"\| (?!what happens|-)", line)]
    assert len(named) >= len([line for line in promises if not line.startswith("|---")]) > 20
    assert not re.search(r"\n\n\|[^\n]*\n(?!\|---)", text), "a row without its table"
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
