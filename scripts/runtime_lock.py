"""Prints of requirements.lock what runs: without what only tests and checks need.

`python scripts/runtime_lock.py > runtime.lock`; standard library only, for an image that has
nothing else yet. A package stays if pyproject.toml names it as a dependency, or if one that stays
needs it: the lock says of each package who does.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def main() -> None:
    """Write the lock's part to stdout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    sys.stdout.write(runtime((ROOT / "requirements.lock").read_text("utf-8"), project))


def runtime(lock: str, project: dict[str, list[str]]) -> str:
    """The lock without packages that no dependency of the project needs."""
    _, *blocks = _PACKAGE.split(lock)
    # A package may be there in several versions, each for some Pythons.
    needed_by: dict[str, set[str]] = {}
    for block in blocks:
        needed_by.setdefault(name(block), set()).update(_needed_by(block))
    kept = {name(line) for line in project["dependencies"]}
    while more := {
        package for package in needed_by.keys() - kept if not kept.isdisjoint(needed_by[package])
    }:
        kept |= more
    return "".join(block for block in blocks if name(block) in kept)


def name(requirement: str) -> str:
    """The normalized name with which a requirement begins."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[0] if found else "").lower()


def _needed_by(block: str) -> set[str]:
    """The packages that the comment below a package names; this project is none of them."""
    _, _, comment = block.partition("# via")
    lines = [line.strip(" #") for line in comment.splitlines()]
    return {name(line) for line in lines if line and "(" not in line}


if __name__ == "__main__":
    main()
