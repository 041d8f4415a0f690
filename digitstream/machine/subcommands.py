"""Our commands as child processes, which never outlive the process that starts them."""

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
from digitstream.machine.processes import STOPPING, end, hold_signals

OnLine = Callable[[str], None]
"""Called with each line of a command's progress."""


class CommandFailed(ProgramError):
    """One of our commands ended with an error; the message is its own."""


class Command:
    """`digitstream ARGUMENTS` in a session of its own; its lines go to `log` and `on_line`."""

    def __init__(
        self, arguments: list[str], log: Path, settings: Mapping[str, str], on_line: OnLine
    ):
        """Start it, with `settings` (DIGITSTREAM_*) in its environment."""
        self._name = arguments[0]
        self._log = log
        self._lines: list[str] = []
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
        self._report = ""
        self._threads = [
            threading.Thread(target=self._listen, args=(on_line,), daemon=True),
            threading.Thread(target=self._collect, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def result(self) -> str:
        """Wait until it ends; returns its report. Raises CommandFailed with its message."""
        self._process.wait()
        for thread in self._threads:
            thread.join()
        if self._process.returncode != 0:
            why = self._lines[-1] if self._lines else f"it ended with {self._process.returncode}"
            message = f"`digitstream {self._name}` failed: {why} Its log is {self._log}."
            raise CommandFailed(message)
        return self._report

    @property
    def report(self) -> str:
        """Its report, once `result` has returned or raised."""
        return self._report

    @property
    def name(self) -> str:
        """The command's first word: `score`, say."""
        return self._name

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file with all lines of its progress."""
        return self._log

    @property
    def lines(self) -> list[str]:
        """The lines of progress so far."""
        return list(self._lines)

    @property
    def has_ended(self) -> bool:
        """Whether it is no longer running."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise CommandFailed if it has ended although it should be running."""
        if self.has_ended:
            self.result()
            message = f"`digitstream {self._name}` ended too early. Its log is {self._log}."
            raise CommandFailed(message)

    def stop(self) -> None:
        """Stop it, wait for it, and end whatever is left of its session."""
        if not self.has_ended:
            end(psutil.Process(self._process.pid))
            self._process.wait()
        for process in _session(self._process.pid):
            end(process, grace=2)
        for thread in self._threads:
            thread.join()

    def _listen(self, on_line: OnLine) -> None:
        with (
            self._log.open("a", encoding="utf-8") as log,
            self._process.stderr or open(os.devnull, encoding="utf-8") as lines,
        ):
            for line in map(str.strip, lines):
                if line:
                    # A terminal may show the log, too.
                    log.write(f"{escaped(line)}\n")
                    log.flush()
                    self._lines.append(line)
                    on_line(line)

    def _collect(self) -> None:
        with self._process.stdout or open(os.devnull, encoding="utf-8") as report:
            self._report = report.read()


def _session(leader: int) -> list[psutil.Process]:
    """The processes of a session; a JVM or a Python worker need not be a child of its leader."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                members.append(process)
        except (psutil.Error, OSError):
            continue
    return members


class Commands:
    """Starts our commands, each with its log in `logs`; leaving the body stops the running ones."""

    def __init__(self, logs: Path, settings: Mapping[str, str]):
        """`settings` (DIGITSTREAM_*) go into each command's environment."""
        self._logs, self._settings = logs, settings
        self._started: list[Command] = []

    @property
    def logs(self) -> Path:
        """The folder of their logs."""
        return self._logs

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings in each command's environment."""
        return self._settings

    def start(self, arguments: list[str], on_line: OnLine = lambda line: None) -> Command:
        """Start `digitstream ARGUMENTS`."""
        with hold_signals():
            log = self._logs / f"{arguments[0]}.log"
            self._started.append(Command(arguments, log, self._settings, on_line))
        return self._started[-1]

    def __enter__(self) -> Commands:
        """Create the folder of logs."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the running commands, the last one first."""
        for command in reversed(self._started):
            command.stop()


class Stopped(KeyboardInterrupt):
    """A signal told this process to stop."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise in the body as Ctrl-C does, so that it cleans up."""

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
