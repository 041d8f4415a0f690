from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from digitstream.machine import processes
from digitstream.machine.subcommands import Command, CommandFailed, Stopped, stop_on_signals


def command(arguments: list[str], home: Path, heard: list[str]) -> Command:
    return Command(arguments, home / "log", {"DIGITSTREAM_HOME": str(home)}, heard.append)


def test_the_report_of_a_command_is_handed_over(tmp_path: Path) -> None:
    heard: list[str] = []
    listed = command(["models", "list", "--json"], tmp_path, heard)
    assert listed.result() == '{\n  "versions": []\n}\n'
    assert listed.has_ended
    with pytest.raises(CommandFailed, match="ended too early"):
        listed.check()


def test_a_command_that_fails_fails_with_its_own_sentence(tmp_path: Path) -> None:
    heard: list[str] = []
    failing = command(["models", "promote", "9"], tmp_path, heard)
    with pytest.raises(CommandFailed, match="does not have the version 9 of model digits"):
        failing.result()
    assert heard and heard[-1] in (tmp_path / "log").read_text()


def test_stopping_ends_the_whole_session(tmp_path: Path) -> None:
    running = threading.Event()
    nobody = {"DIGITSTREAM_HOME": str(tmp_path), "DIGITSTREAM_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    waiting = Command(["produce"], tmp_path / "log", nobody, lambda line: running.set())
    process = psutil.Process(waiting._process.pid)
    waiting.check()
    waiting.stop()
    assert waiting.has_ended
    assert not process.is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_body_once_and_leaves_the_handlers(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = []
    with pytest.raises(Stopped), stop_on_signals():
        try:
            os.kill(os.getpid(), number)
            threading.Event().wait(5)
        finally:
            os.kill(os.getpid(), number)
            cleaned.append(True)
    assert cleaned == [True]
    assert signal.getsignal(number) == before


def test_a_command_is_looked_up_as_a_shell_does(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ended = processes.detach(["env", "PLACE=here", "printenv", "PLACE"], log, os.environ)
    ended.wait()
    assert log.read_text() == "here\n"
