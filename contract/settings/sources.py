"""Settings from flags, then DIGITSTREAM_* variables, then digitstream.toml, then the defaults.

Only the front door calls this.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from contract import files
from contract.errors import SettingsError
from contract.settings import profiles
from contract.settings.profiles import Tables
from contract.settings.programs import (
    Archiving,
    Asking,
    Producing,
    Rescoring,
    Settings,
    Training,
)
from contract.settings.setting import PREFIX, Setting, settings_of

S = TypeVar("S", bound=Settings)

FILE = Path("digitstream.toml")
FILE_BYTES = 1 << 20
"""Of a file of settings at most."""

PROFILES = "profiles.toml"
"""In HOME: what `digitstream broker start --secure` writes."""


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for kind in (Producing, Rescoring, Archiving, Asking, Training)
    for setting in settings_of(kind)
}
"""Every setting of every program, by its name."""


def load(
    kind: type[S],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: Path = FILE,
) -> S:
    """The settings of one program. A flag that is None was not given; the file may be missing.

    The file and the environment may hold any program's settings. Raises SettingsError that tells
    everything unknown, with the nearest name, and everything that cannot be obeyed.
    """
    values: dict[str, Any] = {}
    complaints: list[str] = []
    saved, tables = _file(file)
    sources = (saved, _environment(environ), _flags(flags))
    for source in sources:
        for name, value in source.given.items():
            if name not in SETTINGS:
                complaints.append(source.unknown(name))
                continue
            try:
                values[name] = SETTINGS[name].rule.read(value)
            except ValueError as exc:
                complaints.append(f"{source.spelled(name)} is {value!r}, but must be {exc}")
    if "kafka_profile" in values:
        home = values.get("home", Settings.home)
        known = {**_profiles(home / PROFILES), **tables}
        try:
            profile = profiles.read(values["kafka_profile"], known, environ, datetime.now(UTC))
        except SettingsError as exc:
            complaints.append(str(exc).rstrip("."))
        else:
            values["security"] = profile.security
            named = any("bootstrap_servers" in source.given for source in sources[1:])
            if profile.servers is not None and not named:
                values["bootstrap_servers"] = profile.servers
    if complaints:
        raise SettingsError("; ".join(complaints) + ".")
    return kind(
        **{field.name: values[field.name] for field in fields(kind) if field.name in values}
    )


def environment(settings: Settings) -> dict[str, str]:
    """What a command of ours gets into its environment, so that it has the settings that all
    programs share as they are here, wherever it runs.
    """
    placed = replace(settings, home=settings.home.resolve())
    return {
        setting.variable: setting.rule.write(value)
        for setting in settings_of(Settings)
        if (value := getattr(placed, setting.name)) is not None
    }


@dataclass(frozen=True)
class _Source:
    """Settings by name as one source gives them, and how that source spells a name."""

    given: Mapping[str, object]
    spelled: Callable[[str], str]

    def unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0)[0]
        return f"{self.spelled(name)} is no setting; the nearest is {self.spelled(near)}"


def _flags(flags: Mapping[str, object]) -> _Source:
    given = {name: value for name, value in flags.items() if value is not None}
    return _Source(given, lambda name: f"--{name.replace('_', '-')}")


def _environment(environ: Mapping[str, str]) -> _Source:
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX)
    }
    return _Source(given, lambda name: PREFIX + name.upper())


def _file(file: Path) -> tuple[_Source, Tables]:
    """The settings of a file, and the profiles in it."""
    given = _toml(file)
    tables = given.pop("kafka", {})
    if not isinstance(tables, dict):
        message = (
            f"kafka in {file} is no table. Profiles are tables of settings, each with a name. "
            f"Write [kafka.NAME]."
        )
        raise SettingsError(message)
    source = _Source(
        {name.replace("-", "_"): value for name, value in given.items()},
        lambda name: f"{name} in {file}",
    )
    return source, tables


def _profiles(file: Path) -> Tables:
    """The profiles that the embedded Kafka wrote for its clients."""
    return _file(file)[1]


def _toml(file: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(files.read_text(file, FILE_BYTES))
    except FileNotFoundError:
        given = {}
    except (OSError, RecursionError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        message = (
            f"{file} cannot be read: {reason}. It must be TOML with one setting a line, like "
            f"`rate = 1000`. Mend or remove it."
        )
        raise SettingsError(message) from exc
    return given
