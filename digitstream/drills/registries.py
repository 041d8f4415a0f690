"""Drills of a registry that does not answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from contract.model import bundle
from contract.model.registry import Registry
from contract.quantities import quantity
from contract.wire.progress import Progress
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground, until
from digitstream.drills.outcome import Broken
from digitstream.machine.subcommands import Command

RATE = 20
"""Readings per second, so that one micro-batch follows another."""

BATCHES = 10
"""Micro-batches to compare, before the hindrance and during it."""

SLOWER = 10
"""The factor by which micro-batches may be slower meanwhile, on a busy machine. Waiting for the
registry would slow them by some hundred times.
"""

_GLANCE_SECONDS = 0.2

_LOCK = r"""
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
os.write(1, b"locked\n")
sys.stdin.read()
"""


@drill(
    "slow-registry",
    "The registry's file is locked by another process, then its server is paused (SIGSTOP): "
    "micro-batches go on as before, and a promoted version takes over once the registry answers.",
)
def _slow_registry(ground: Ground) -> str:
    file = ground.settings.registry
    locked = _lock(ground.settings.home / "mlflow.db")
    seen = [f"file locked: {_compare_pace(ground, file, locked, (), reports_silence=True)}"]
    file.rollback("the drill is over")
    with _start_server(ground.settings.home / "server") as (address, pid):
        served = replace(ground.settings, tracking_uri=address).registry
        champion = bundle.load(file.resolve().folder)
        served.promote(served.register(champion, parameters={}))
        options = ("--tracking-uri", address)
        paused = _compare_pace(ground, served, _pause(pid), options, reports_silence=False)
        seen.append(f"server paused: {paused}")
    return "; ".join(seen)


def _compare_pace(
    ground: Ground,
    registry: Registry,
    hindrance: AbstractContextManager[None],
    options: Sequence[str],
    *,
    reports_silence: bool,
) -> str:
    """Compare micro-batches before the hindrance with those under it; then promote a version.

    With `reports_silence` the hindrance lasts until the scorer says that the registry is silent.
    """
    sending = ground.start_sending(RATE * 3_600, rate=str(RATE))
    scorer = ground.score(*options)
    begun = len(ground.progress())
    _await(scorer, lambda: len(ground.progress()) > begun + 2 * BATCHES, "micro-batches")
    before = ground.progress()[-BATCHES:]
    ground.announce("keeps the registry from answering")
    with hindrance:
        _await(
            scorer,
            lambda: len(_silent_batches(ground, before)) >= BATCHES,
            "micro-batches meanwhile",
        )
        if reports_silence:
            ground.await_line(scorer, "Retrying until it answers.")
    meanwhile = _silent_batches(ground, before)
    if reports_silence:
        ground.await_line(scorer, "The registry answers again.")
    _promote_copy(ground, registry, scorer)
    sending.stop()
    sent = sum(ground.reader.end(ground.settings.topics.readings).values())
    ground.await_done(sent, scorer)
    scorer.stop()
    usual, then = (median(map(_milliseconds, batches)) for batches in (before, meanwhile))
    count = quantity(len(meanwhile), "micro-batch", "micro-batches")
    seen = f"{count} took {then:.0f} ms meanwhile, {usual:.0f} ms before"
    if then > SLOWER * usual:
        raise Broken(seen)
    return f"{seen}; {ground.check_all_answered(sent)}"


def _promote_copy(ground: Ground, registry: Registry, scorer: Command) -> None:
    """Promote a copy of the champion; returns when the scorer uses it."""
    ground.announce("promotes another version")
    version = registry.register(bundle.load(registry.resolve().folder), parameters={})
    registry.promote(version)
    ground.await_line(scorer, f"Version {version} of ")
    _await(scorer, lambda: _version(ground) == version, f"version {version} at work")


def _await(scorer: Command, condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds; raises CommandFailed if the scorer ends before."""

    def holds() -> bool:
        scorer.check()
        time.sleep(_GLANCE_SECONDS)
        return condition()

    until(holds, what)


def _silent_batches(ground: Ground, before: Sequence[Progress]) -> list[Progress]:
    """The micro-batches after `before` that ran while the registry did not answer."""
    return [
        progress
        for progress in ground.progress()
        if progress.time > before[-1].time and progress.registry_silent_s > 1
    ]


def _milliseconds(progress: Progress) -> int:
    return progress.durations_ms["triggerExecution"]


def _version(ground: Ground) -> str:
    model = ground.progress()[-1].model
    return "" if model is None else model.version


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Lock a SQLite file by another process while the body runs."""
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        if other.stdout is None or other.stdout.readline() != b"locked\n":
            message = f"{file} could not be locked"
            raise Broken(message)
        yield


@contextmanager
def _pause(pid: int) -> Iterator[None]:
    """Pause a group of processes (SIGSTOP) while the body runs."""
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


@contextmanager
def _start_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Run an MLflow server with a registry of its own; yields its address and its process group."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder.as_posix()}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (
        (folder / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as server,
    ):
        try:
            until(lambda: _is_answering(port), "the start of an MLflow server")
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _is_answering(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex(("127.0.0.1", port)) == 0
