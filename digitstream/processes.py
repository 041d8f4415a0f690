"""Processes that run beside this one: started, recognised, ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

GRACE_SECONDS = 20.0


def detach(command: list[str], log: Path, environ: Mapping[str, str]) -> psutil.Process:
    """Start a process of its own session, which outlives this one; its output is added to `log`."""
    output = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
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


def running(pid: int, mark: str) -> psutil.Process | None:
    """The process `pid` if it lives and has `mark` among its arguments, else None.

    A pid file outlives a crash, and the system gives the number to somebody else: the mark tells.
    """
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and mark in process.cmdline() else None
    except psutil.Error:
        return None


def end(process: psutil.Process, grace: float = GRACE_SECONDS) -> None:
    """Ask a process to stop (SIGTERM), wait `grace` seconds, then make it (SIGKILL)."""
    try:
        process.terminate()
        try:
            process.wait(grace)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()
    except psutil.NoSuchProcess:
        pass
