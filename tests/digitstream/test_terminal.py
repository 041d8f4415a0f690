"""Whatever others wrote, a command prints it without doing anything to the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from contract.errors import DigitstreamError
from contract.settings.programs import Settings
from contract.wire.events import DeadLetter, Label, Model, Score, Source, Times
from contract.wire.progress import Agreement, Lag, Progress
from contract.wire.topics import Topics
from digitstream import terminal
from digitstream.commands import demo, doctor, drill
from digitstream.dead_letters.raw_records import open_sender
from digitstream.demo import plots
from digitstream.drills.outcome import Outcome
from digitstream.health.doctor import Finding
from digitstream.kafka.server import Broker
from digitstream.machine.subcommands import Commands
from tests.digitstream.conftest import Run
from tests.digitstream.demo.test_report import made
from tests.digitstream.test_cli import register
from tests.digitstream.test_grid import HOSTILE

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEN = r"[/x][red]\x1b[2J\x1b]8;;http://x\x07\x9b31m\r\n\t\u202egnp\u2066"
"""How the beginning of HOSTILE is shown."""

WRITABLE = HOSTILE.replace("\ud800", "")
"""What UTF-8 takes of it."""


def harmless(text: str) -> str:
    """The text, of which each line is printable."""
    assert text.replace("\n", "").isprintable(), text
    return text


def test_only_one_module_writes_to_the_terminal() -> None:
    writing = re.compile(r"sys\.(stdout|stderr)\.write|\bprint\(|\bConsole\(|\bfrom rich|\becho\(")
    rooms = ("contract", "digitstream", "producers", "streaming", "training")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 100
    found = {file.name for file in files if writing.search(file.read_text())}
    assert found == {
        "terminal.py",
        "bars.py",
        "grid.py",
        "page.py",
    }  # the page is what its program prints


def test_progress_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.begin()
    terminal.say(HOSTILE)
    terminal.complain(DigitstreamError(f"{HOSTILE}\n  - one\n  - {HOSTILE}"))
    with terminal.progress(HOSTILE) as advance, terminal.activity(HOSTILE) as news:
        advance(1, 2, HOSTILE)
        news(HOSTILE)
    said = harmless(capsys.readouterr().err)
    assert said.count(SEEN) == 8
    assert "\n  - one\n  - [/x]" in said


BARS = f"""
from digitstream import terminal

text = {HOSTILE!r}
with terminal.progress(text) as advance:
    advance(1, 2, text)
    terminal.say(text)
with terminal.activity(text) as news:
    news(text)
table = terminal.Grid((text,), [(text,)], title=text, note=text, last=(text,))
terminal.report({{}}, lambda: [table, text], False)
"""


def test_bars_and_boxes_on_a_terminal() -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-c", BARS]
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "300", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ) as child:
        os.close(slave)
        drawn = b""
        while part := _read(master):
            drawn += part
    os.close(master)
    assert child.returncode == 0, drawn.decode()
    shown = drawn.decode()
    assert "┏" in shown
    assert shown.count(SEEN) >= 8
    for sequence in ("\x1b[2J", "\x1b]8", "\x07", "\x9b", "\u202e", "\u2066", "\ue000"):
        assert sequence not in shown


def _read(terminal: int) -> bytes:
    """What comes next from a terminal, nothing at its end."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux tells that nobody writes any more
        return b""


def test_what_commands_of_ours_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Whatever writes to stderr in there, libraries and Java among them, comes through one pipe.
    raw = WRITABLE.replace("\r\n", "").encode() + b"\xff\n"
    (tmp_path / "sitecustomize.py").write_text(f"import os; os.write(2, {raw!r})\n")
    heard: list[str] = []
    with Commands(tmp_path / "logs", {"PYTHONPATH": str(tmp_path)}) as commands:
        commands.start(["--version"], heard.append).result()
    assert heard[0].startswith("[/x][red]\x1b[2J") and heard[0].endswith("\\xff")
    for line in heard:
        terminal.say(line)
    assert "[red]\\x1b[2J" in harmless(capsys.readouterr().err)
    assert "[red]\\x1b[2J" in harmless((tmp_path / "logs" / "--version.log").read_text())


def test_reports_of_drills_doctor_and_demo(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcome = Outcome(HOSTILE, HOSTILE, HOSTILE, False, 1.0)
    terminal.report({}, lambda: drill._outcome_table([outcome]), False)
    terminal.report({}, lambda: doctor.table([Finding(HOSTILE, False, HOSTILE)]), False)
    scores = replace(
        made().scores,
        predicted=np.array([WRITABLE, "$\\frac$", WRITABLE]),
        true=np.array([WRITABLE, "$x"]),
        engines=(HOSTILE,),
    )
    report = replace(made(), scores=scores, dead_letters=Counter({HOSTILE: 1}))
    terminal.report({}, lambda: demo.picture(report), False)
    assert harmless(capsys.readouterr().out).count(SEEN) >= 9
    plots.draw(report, tmp_path)


def test_models(run: Run, tmp_path: Path) -> None:
    home, name = tmp_path / "home", "[x] [red]\x1b[2J\u202e"
    version = register(home, 0.5, name)
    where = ("--home", str(home), "--model", name)
    registry = replace(Settings(home=home), model=name).registry
    registry.promote(version)
    registry.remove_alias(version, "champion", WRITABLE)
    assert SEEN in harmless(run("models", "list", *where)[1])
    assert json.loads(run("models", "list", *where, "--json")[1])["versions"][0]["removed"] == (
        WRITABLE
    )
    assert "\\x1b[2J" in harmless(run("models", "show", version, *where)[1])
    assert "\\x1b[2J" in harmless(run("models", "promote", version, *where)[1])
    assert "\\x1b[2J" in harmless(run("models", "rollback", *where)[2])


@pytest.mark.kafka
def test_dead_letters_status_and_comparisons(
    run: Run, kafka_broker: Broker, topics: Topics
) -> None:
    prefix = topics.readings.removesuffix(".readings")
    where = ("--bootstrap-servers", kafka_broker.bootstrap_servers, "--prefix", prefix)
    text, source = WRITABLE, Source(topics.readings, 0, 0)
    raw = text.encode()
    letter = DeadLetter("decode", "empty: none", source, 1, raw, raw, ((text, raw),))
    model = Model(text, "2", "onnx")
    progress = Progress(
        "scoring", 7, NOW, 1, 1, 0, 1.0, 2.0, {"triggerExecution": 4}, model,
        Lag(4, 90.0, None, None, 7200.0), {text: Agreement(4, 3)},
    )  # fmt: skip
    times = Times(NOW, NOW, NOW)
    scores = [
        Score("r-1", text, prediction, 0.9, (0.1, 0.9), Model(text, version, "onnx"), source, times)
        for version, prediction in (("1", text), ("2", f"{text}2"))
    ]
    label = Label("r-1", text, NOW)
    for topic, sent in (
        (topics.dead_letters, [letter]),
        (topics.progress, [progress]),
        (topics.scores, scores),
        (topics.labels, [label]),
    ):
        with open_sender(kafka_broker.kafka, topic) as sender:
            assert all(sender.send([event.message() for event in sent]))

    listed = harmless(run("dead-letters", "list", *where)[1])
    assert listed.count(SEEN) == 1 and source.id in listed
    (found,) = json.loads(run("dead-letters", "list", *where, "--json")[1])["letters"]
    assert found["key"] == text
    shown = run("dead-letters", "show", found["id"], *where)[1]
    assert harmless(shown).count(SEEN) == 3
    value = json.loads(run("dead-letters", "show", found["id"], *where, "--json")[1])
    assert value["headers"] == [[text, text]]
    assert harmless(run("status", *where)[1]).count(SEEN) == 2
    compared = harmless(run("models", "compare", "1", "2", *where)[1])
    assert compared.count(SEEN) >= 5
    harmless(run("dead-letters", "replay", *where, "--dry-run")[1])
    with open_sender(kafka_broker.kafka, topics.dead_letters) as sender:
        sender.send([replace(letter, reason=f"empty: {text}").message()])
    code, listed, _ = run("dead-letters", "list", *where)
    assert code == 0
    assert f"1 record among the dead letters is none ({topics.dead_letters}/" in harmless(listed)
