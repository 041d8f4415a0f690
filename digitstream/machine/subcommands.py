"""Commands of ours that run as processes of their own and never outlive the one that runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

from contract.errors import ProgramError
from digitstream.grid import escaped
from digitstream.machine.processes import STOPPING, end, undisturbed

Heard = Callable[[str], None]
"""Called with each line that a command says about its progress."""


class CommandFailed(ProgramError):
    """One of our commands ended with an error; the message is its own."""


class Command:
    """`digitstream ARGUMENTS` in a session of its own; what it says goes to `log` and `heard`."""

    def __init__(self, arguments: list[str], log: Path, settings: Mapping[str, str], heard: Heard):
        """Start it, with `settings` (DIGITSTREAM_*) in its environment."""
        self._name = arguments[0]
        self._log = log
        self._said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "digitstream", *arguments],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,
        )
        self._reported = ""
        self._threads = [
            threading.Thread(target=self._listen, args=(heard,), daemon=True),
            threading.Thread(target=self._collect, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def result(self) -> str:
        """Wait until it ends; returns its report. Raises CommandFailed with its own sentence."""
        self._process.wait()
        for thread in self._threads:
            thread.join()
        if self._process.returncode != 0:
            why = self._said[-1] if self._said else f"it ended with {self._process.returncode}"
            message = (
                f"`digitstream {self._name}` failed: {why} All that it said is in {self._log}."
            )
            raise CommandFailed(message)
        return self._reported

    @property
    def reported(self) -> str:
        """The report that it gave, once `result` has returned or raised."""
        return self._reported

    @property
    def name(self) -> str:
        """The command's first word: `score`, say."""
        return self._name

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file with all that it said."""
        return self._log

    @property
    def said(self) -> list[str]:
        """The lines of its progress so far."""
        return list(self._said)

    @property
    def ended(self) -> bool:
        """Whether it no longer runs."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise CommandFailed if it has ended although it should run."""
        if self.ended:
            self.result()
            message = f"`digitstream {self._name}` ended too early. What it said is in {self._log}."
            raise CommandFailed(message)

    def stop(self) -> None:
        """Ask it to stop, wait, and end whatever is left of its session."""
        if not self.ended:
            end(psutil.Process(self._process.pid))
            self._process.wait()
        for process in _session(self._process.pid):
            end(process, grace=2)
        for thread in self._threads:
            thread.join()

    def _listen(self, heard: Heard) -> None:
        with (
            self._log.open("a", encoding="utf-8") as log,
            self._process.stderr or open(os.devnull, encoding="utf-8") as lines,
        ):
            for line in map(str.strip, lines):
                if line:
                    # A terminal may show the log, too.
                    log.write(f"{escaped(line)}\n")
                    log.flush()
                    self._said.append(line)
                    heard(line)

    def _collect(self) -> None:
        with self._process.stdout or open(os.devnull, encoding="utf-8") as report:
            self._reported = report.read()


def _session(leader: int) -> list[psutil.Process]:
    """The processes of a session: a JVM or a Python worker may be no child of its leader."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


class Commands:
    """Commands of ours, each with a log of its own in `logs`; leaving the body stops those left."""

    def __init__(self, logs: Path, settings: Mapping[str, str]):
        """`settings` (DIGITSTREAM_*) come into each command's environment."""
        self._logs, self._settings = logs, settings
        self._started: list[Command] = []

    @property
    def logs(self) -> Path:
        """The folder of their logs."""
        return self._logs

    @property
    def settings(self) -> Mapping[str, str]:
        """What comes into each one's environment."""
        return self._settings

    def start(self, arguments: list[str], heard: Heard = lambda line: None) -> Command:
        """Start `digitstream ARGUMENTS`."""
        with undisturbed():
            log = self._logs / f"{arguments[0]}.log"
            self._started.append(Command(arguments, log, self._settings, heard))
        return self._started[-1]

    def __enter__(self) -> Commands:
        """Nothing runs yet."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop whatever runs, the last one first."""
        for command in reversed(self._started):
            command.stop()


class Stopped(KeyboardInterrupt):
    """A signal asked us to stop."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the body as Ctrl-C does: by an exception, so that it cleans up."""

    def stop(number: int, frame: FrameType | None) -> None:
        for kind in STOPPING:
            signal.signal(kind, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
        raise Stopped

    before = {kind: signal.signal(kind, stop) for kind in STOPPING}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
