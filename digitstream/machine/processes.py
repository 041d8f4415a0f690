"""Starts, finds and ends processes that run beside this one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

GRACE_SECONDS = 20.0
_GLANCE_SECONDS = 0.1
_REAPING_SECONDS = 1.0

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that tell a program to stop."""


@contextmanager
def hold_signals() -> Iterator[None]:
    """Hold back stop signals while the body runs.

    For the moment between starting a process and recording it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread only
        return
    waiting: list[int] = []
    before = {
        kind: signal.signal(kind, lambda number, _: waiting.append(number)) for kind in STOPPING
    }
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        for number in waiting[:1]:
            signal.raise_signal(number)


def detach(command: list[str], log: Path, environ: Mapping[str, str]) -> psutil.Process:
    """Start a process in a session of its own, which outlives this one; `log` gets its output."""
    output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        command[0],
        command,
        environ,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), output, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    return psutil.Process(pid)


def find(pid: int, mark: str) -> psutil.Process | None:
    """The process `pid` if it is alive and has `mark` among its arguments, else None.

    A pid file outlives a crash, and the system may reuse the number; the mark tells them apart.
    """
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and mark in process.cmdline() else None
    except psutil.Error:
        return None


def end(process: psutil.Process, grace: float = GRACE_SECONDS) -> None:
    """Stop a process (SIGTERM); kill it (SIGKILL) if it is still running after `grace` seconds."""
    try:
        process.terminate()
        if not _ends_within(process, grace):
            process.kill()
            _ends_within(process, grace)
    except psutil.NoSuchProcess:
        pass


def _ends_within(process: psutil.Process, seconds: float) -> bool:
    """Whether a process ends within some seconds. One that stays as a zombie has ended: a
    container's first process may never ask for its exit code.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            process.wait(_GLANCE_SECONDS)
        except psutil.TimeoutExpired:
            # The first thread is a zombie already while others of a process still end.
            if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() == 1:
                with suppress(psutil.TimeoutExpired):
                    process.wait(_REAPING_SECONDS)
                return True
        else:
            return True
    return False
