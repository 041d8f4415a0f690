"""Programs of ours as processes of their own, which tests kill, stop and hinder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from contract.settings.programs import Settings
from tests.quick_java import QUICK

ROOT = Path(__file__).parents[2]


@contextmanager
def process(
    program: str, settings: Settings, jars: Sequence[Path]
) -> Iterator[subprocess.Popen[str]]:
    """A process that runs this code, with all it starts; none of them is left after the body.

    `sys.argv` has the settings as JSON (paths and times as text), then the jars. What it says goes
    to `log` in the home.
    """
    given = json.dumps(vars(settings), default=str)
    with (
        (settings.home / "log").open("a") as log,
        subprocess.Popen(
            [sys.executable, "-c", program, given, *map(str, jars)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **QUICK, "PYTHONWARNINGS": "ignore"},
        ) as started,
    ):
        first = psutil.Process(started.pid)
        yield started
        family = [first, *first.children(recursive=True)] if first.is_running() else []
        for member in reversed(family):
            member.kill()


def log(settings: Settings) -> str:
    """What its processes said."""
    return (settings.home / "log").read_text()
