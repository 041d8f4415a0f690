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
"""The project file of the checkout that digitstream runs from."""

HOME = ("home",)
KAFKA = (*HOME, "bootstrap_servers", "kafka_profile")
SPARK = ("master", "spark_secret_file")
REGISTRY = ("tracking_uri", "model")
TABLES = ("tables", "packages")
"""Groups of settings that commands take as flags together."""


class Origin(StrEnum):
    """Where to look up readings and their answers."""

    TOPICS = "topics"
    TABLES = "tables"


From = Annotated[
    Origin,
    typer.Option(
        "--from", help="What to count: topics (what Kafka has) or tables (what the archive has)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]


def _volume_setter(volume: Volume) -> Callable[[bool], None]:
    def set_volume(is_given: bool) -> None:
        if is_given:
            terminal.set_volume(volume)

    return set_volume


def _print_version(is_given: bool) -> None:
    if is_given:
        project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
        terminal.report({}, lambda: f"{project['name']} {project['version']}", False)
        raise typer.Exit


def _eager_flag(*names: str, help: str, callback: Callable[[bool], None]) -> Any:
    """A flag that takes effect while the command line is parsed; commands do not receive it."""
    return Annotated[
        bool, typer.Option(*names, help=help, callback=callback, expose_value=False, is_eager=True)
    ]


Verbose = _eager_flag(
    "--verbose",
    "-v",
    help="Also show what libraries log, and tracebacks of errors.",
    callback=_volume_setter(Volume.VERBOSE),
)
Quiet = _eager_flag(
    "--quiet",
    "-q",
    help="Show only reports, warnings and errors.",
    callback=_volume_setter(Volume.QUIET),
)
Version = _eager_flag("--version", help="Print the version and exit.", callback=_print_version)


class Inputs:
    """The settings passed to a command as flags. The environment, digitstream.toml and the defaults
    supply the rest.
    """

    def __init__(self, arguments: Mapping[str, object]) -> None:
        self._arguments = arguments

    def load(self, kind: type[S]) -> S:
        """The settings of a program; raises SettingsError."""
        from contract.settings.sources import load

        names = {field.name for field in fields(kind)}
        values = {name: value for name, value in self._arguments.items() if name in names}
        return load(kind, values, os.environ)


Command = TypeVar("Command", bound=Callable[..., None])


def specific_to(kind: type[Settings]) -> tuple[str, ...]:
    """The names of the settings that a program has in addition to the shared ones."""
    shared = {setting.name for setting in settings_of(Settings)}
    return tuple(setting.name for setting in settings_of(kind) if setting.name not in shared)


def settings(
    kinds: type[Settings] | tuple[type[Settings], ...], *names: str
) -> Callable[[Command], Command]:
    """Add flags for settings of programs to a command, whose first parameter takes the Inputs.

    A flag that is not on the command line is None. The rules of the settings parse the values, so a
    wrong value is reported as it is in a file.
    """
    programs = kinds if isinstance(kinds, tuple) else (kinds,)
    declared = {setting.name: setting for kind in programs for setting in settings_of(kind)}

    def with_flags(command: Command) -> Command:
        _, *parameters = inspect.signature(command, eval_str=True).parameters.values()
        flags = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_flag(declared[name])
            )
            for name in names
        ]
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters
        ]

        def run(**arguments: Any) -> None:
            values = {name: arguments.pop(name) for name in names}
            command(Inputs(values), **arguments)

        run.__name__, run.__doc__, run.__module__ = (
            command.__name__,
            command.__doc__,
            command.__module__,
        )
        run.__signature__ = inspect.Signature([*flags, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {
            parameter.name: parameter.annotation for parameter in (*flags, *parameters)
        }
        return cast("Command", run)

    return with_flags


def _flag(setting: Setting) -> Any:
    if setting.rule is rules.flag:
        return Annotated[bool | None, typer.Option(setting.flag, help=setting.help)]
    help = f"{setting.help} [default: {setting.default_text}]"
    return Annotated[
        str | None, typer.Option(setting.flag, help=help, metavar=setting.rule.metavar)
    ]


def with_broker(settings: S) -> S:
    """The settings with the embedded broker's address, unless they name another Kafka.

    Raises BrokerUnavailable if the embedded broker is needed and not running, and AccessDenied if
    it requires a profile.
    """
    from digitstream.kafka import server

    if settings.bootstrap_servers is not None:
        return settings
    return replace(settings, bootstrap_servers=server.address(settings.home))
