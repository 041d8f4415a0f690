"""The image: what is copied into it, and what of the lock is installed in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement

from scripts import runtime_lock

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ROOMS = {"contract", "digitstream", "keras2dml", "producers", "streaming", "training"}


def test_its_base_is_pinned_and_its_user_is_not_root() -> None:
    bases = {line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("FROM")}
    assert bases == {"python:3.12.11-slim-bookworm", "java", "packages"}
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "digitstream"


def test_it_has_what_runs_and_its_jars_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == sources
    assert sources >= ROOMS and not sources & {"tests", "bench", "docs", "."}
    assert "machine.delta()" in DOCKERFILE  # the jars of Spark's connector and of Delta


def names(requirements: Iterable[str]) -> set[str]:
    return {runtime_lock.name(line) for line in requirements} - {""}


def test_it_leaves_out_what_only_tests_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    kept = names(runtime_lock.runtime(lock, project).splitlines())
    assert names(project["dependencies"]) | {"scipy", "jinja2", "py4j"} <= kept
    assert kept < names(lock.splitlines())
    assert not kept & {"deltalake", "duckdb", "hypothesis", "mypy", "pytest", "ruff", "virtualenv"}
    # As each package says of itself, none that stays needs one that is left out.
    for package in sorted(kept):
        with suppress(PackageNotFoundError):  # it is for another system
            for need in map(Requirement, requires(package) or ()):
                if need.marker is None or need.marker.evaluate({"extra": ""}):
                    assert runtime_lock.name(need.name) in kept, f"{package} needs {need}"
