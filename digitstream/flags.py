"""The flags of the commands, made from the settings of programs."""

from __future__ import annotations

import inspect
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from contract.settings import rules
from contract.settings.programs import Settings
from contract.settings.setting import Setting, settings_of
from digitstream import terminal
from digitstream.terminal import Volume

S = TypeVar("S", bound=Settings)

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
"""Of the checkout from which digitstream runs."""

HOME = ("home",)
KAFKA = (*HOME, "bootstrap_servers", "kafka_profile")
SPARK = ("master", "spark_secret_file")
REGISTRY = ("tracking_uri", "model")
TABLES = ("tables", "packages")
"""Settings that go together in the flags of a command."""


class Origin(StrEnum):
    """Where readings and their answers are looked up."""

    TOPICS = "topics"
    TABLES = "tables"


From = Annotated[
    Origin,
    typer.Option(
        "--from", help="What is counted: topics, what Kafka has, or tables, what the archive has."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


def _speak(volume: Volume) -> Callable[[bool], None]:
    def set_volume(is_given: bool) -> None:
        if is_given:
            terminal.set_volume(volume)

    return set_volume


def _print_version(is_given: bool) -> None:
    if is_given:
        project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
        terminal.report({}, lambda: f"{project['name']} {project['version']}", False)
        raise typer.Exit


def _done_at_once(*names: str, help: str, callback: Callable[[bool], None]) -> Any:
    """A flag that no command gets to see."""
    return Annotated[
        bool, typer.Option(*names, help=help, callback=callback, expose_value=False, is_eager=True)
    ]


Verbose = _done_at_once(
    "--verbose",
    "-v",
    help="Say more: what libraries log, and where an error comes from.",
    callback=_speak(Volume.VERBOSE),
)
Quiet = _done_at_once(
    "--quiet",
    "-q",
    help="Say nothing but reports, warnings and errors.",
    callback=_speak(Volume.QUIET),
)
Version = _done_at_once("--version", help="Print the version, and end.", callback=_print_version)


class Given:
    """The settings that a command was given as flags; the environment, the file and the defaults
    have the others.
    """

    def __init__(self, arguments: Mapping[str, object]) -> None:
        self._arguments = arguments

    def load(self, kind: type[S]) -> S:
        """The settings of a program; raises SettingsError."""
        from contract.settings.sources import load

        names = {field.name for field in fields(kind)}
        given = {name: value for name, value in self._arguments.items() if name in names}
        return load(kind, given, os.environ)


Command = TypeVar("Command", bound=Callable[..., None])


def own(kind: type[Settings]) -> tuple[str, ...]:
    """The names of the settings that a program has beside those that all have."""
    shared = {setting.name for setting in settings_of(Settings)}
    return tuple(each.name for each in settings_of(kind) if each.name not in shared)


def settings(
    kinds: type[Settings] | tuple[type[Settings], ...], *names: str
) -> Callable[[Command], Command]:
    """Give a command flags for settings of programs; its first parameter is what was Given.

    A flag that is not given is None. The rules of settings read the values, so that a wrong one is
    told as it is in a file.
    """
    programs = kinds if isinstance(kinds, tuple) else (kinds,)
    declared = {setting.name: setting for kind in programs for setting in settings_of(kind)}

    def with_flags(command: Command) -> Command:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        flags = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_flag(declared[name])
            )
            for name in names
        ]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

        def run(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in names}
            command(Given(given), **arguments)

        run.__name__, run.__doc__, run.__module__ = (
            command.__name__,
            command.__doc__,
            command.__module__,
        )
        run.__signature__ = inspect.Signature([*flags, *own])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (*flags, *own)}
        return cast("Command", run)

    return with_flags


def _flag(setting: Setting) -> Any:
    if setting.rule is rules.flag:
        return Annotated[bool | None, typer.Option(setting.flag, help=setting.help)]
    help = f"{setting.help} [default: {setting.default_text}]"
    return Annotated[
        str | None, typer.Option(setting.flag, help=help, metavar=setting.rule.metavar)
    ]


def connected(settings: S) -> S:
    """The settings with the embedded broker's address, unless another Kafka is named.

    Raises BrokerUnavailable when the embedded one is meant and does not run, and AccessDenied when
    it takes a profile to get in.
    """
    from digitstream.kafka import server

    if settings.bootstrap_servers is not None:
        return settings
    return replace(settings, bootstrap_servers=server.address(settings.home))
