"""The command line tells what it can do, and says as much as it is asked to."""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from contract.choices import Colour, EngineChoice, Invert, Payload
from contract.model.registry import CHALLENGER, CHAMPION
from contract.notices import Notice
from contract.settings.programs import Archiving, Producing, Querying, Rescoring, Training
from contract.settings.setting import settings_of
from contract.settings.sources import SETTINGS
from contract.wire.reasons import REASONS, STAGES
from digitstream import cli, flags, terminal
from digitstream.terminal import Volume
from producers.faults import NAMES
from tests.digitstream.conftest import Run

ROOT = Path(__file__).parents[2]


def commands() -> dict[str, Any]:
    """Each command by its words, `broker start`, say."""
    root = cli.command()
    found = {}
    for name, command in root.commands.items():
        below = getattr(command, "commands", None)
        found |= (
            {f"{name} {word}": each for word, each in below.items()} if below else {name: command}
        )
    return found


@pytest.mark.parametrize("name", commands())
def test_help_shows_what_each_option_does_and_its_default(run: Run, name: str) -> None:
    shown = unfolded(run(*name.split(), "--help")[1])
    for option in commands()[name].params:
        assert not option.help or unfolded(option.help) in shown
        is_option = option.param_type_name == "option" and not option.is_flag
        if option.name in SETTINGS and is_option and option.default is None:
            assert re.search(r"\[default: .+\]$", option.help), f"{name} --{option.name}"


def test_a_default_that_is_shown_is_read_as_what_it_is() -> None:
    shown = 0
    for kind in (Producing, Rescoring, Archiving, Querying, Training):
        for setting in settings_of(kind):
            if setting.default not in (None, ""):
                assert setting.rule.read(setting.default_text) == setting.default, setting.name
                shown += 1
    assert shown > 40


def unfolded(text: str) -> str:
    """The text on one line; it is folded at spaces and after hyphens."""
    return " ".join(text.split()).replace("- ", "-")


VALUES = {
    "alias": (CHAMPION, CHALLENGER),
    "colour": get_args(Colour),
    "engine": get_args(EngineChoice),
    "faults": NAMES,
    "invert": get_args(Invert),
    "origin": [*flags.Origin],
    "payload": get_args(Payload),
    "reason": REASONS,
    "stage": STAGES,
}
"""The options that take some values only."""


def test_help_tells_the_values_that_are_taken() -> None:
    told = {
        (option.name, value)
        for command in commands().values()
        for option in command.params
        for value in VALUES.get(option.name, ())
        if re.search(rf"(?<![\w-]){value}(?![\w-])", option.help)
    }
    assert told == {(name, value) for name, values in VALUES.items() for value in values}


@pytest.mark.parametrize("name", ["", *sorted({word.split()[0] for word in commands()})])
def test_help_has_no_boxes_and_each_command_its_volume(run: Run, name: str) -> None:
    code, shown, _ = run(*name.split(), "--help")
    assert code == 0 and shown.isascii()
    assert "--quiet" in shown and "--verbose" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    below = shown.partition("Commands:")[2].splitlines()
    assert [line for line in below if line.endswith("...")] == []


def test_the_version_is_that_of_the_project(run: Run) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run("--version")[:2] == (0, f"digitstream {version}\n")


@pytest.mark.parametrize(
    "words", [("tables", "list"), ("tables", "-q", "list"), ("-q", "tables", "list")]
)
def test_quiet_says_nothing_but_the_error(run: Run, words: tuple[str, ...]) -> None:
    code, out, said = run(*words)
    progress = [line for line in said.splitlines() if line == "Looking ..."]
    assert (code, out, len(progress)) == (1, "", 0 if "-q" in words else 1)
    assert said.splitlines()[-1].startswith("There are no tables")


def test_quiet_says_what_somebody_must_read(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.set_volume(Volume.QUIET)
    try:
        terminal.say("Version 2 scores from now on.")
        terminal.say(Notice("Version 2 is champion no longer."))
    finally:
        terminal.set_volume(Volume.NORMAL)
    assert capsys.readouterr().err == "Version 2 is champion no longer.\n"


def test_verbose_tells_where_an_error_comes_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS2DML_LOG_LEVEL", "warn")  # back to what it was, at the end
    level, handlers = logging.root.level, list(logging.root.handlers)
    try:
        code, _, said = run("tables", "list", "-v")
    finally:
        terminal.set_volume(Volume.NORMAL)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert code == 1 and "Traceback" in said and "check_local" in said
    assert said.splitlines()[-1].startswith("There are no tables")
    assert "Traceback" not in run("tables", "list")[2]
