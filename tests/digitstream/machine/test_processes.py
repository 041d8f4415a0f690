from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from digitstream.machine import processes

# Starts a process and never asks for its exit code.
NEGLECTS = """
import subprocess, sys
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
sys.stdin.read()
"""


def test_a_process_that_stays_as_a_zombie_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "kill", lambda _: pytest.fail("it was killed"))
    words = [sys.executable, "-c", NEGLECTS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        neglected = psutil.Process(int(parent.stdout.readline()))
        processes.end(neglected)
        assert neglected.status() == psutil.STATUS_ZOMBIE


def test_a_child_that_ends_between_two_looks_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    wait, looks = psutil.Process.wait, []

    def too_late_at_first(process: psutil.Process, timeout: float | None = None) -> int | None:
        looks.append(timeout)
        if len(looks) > 1:
            return wait(process, timeout)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        raise psutil.TimeoutExpired(timeout)

    monkeypatch.setattr(psutil.Process, "wait", too_late_at_first)
    with subprocess.Popen(["sleep", "600"]) as child:
        processes.end(psutil.Process(child.pid))
        assert not psutil.pid_exists(child.pid)
