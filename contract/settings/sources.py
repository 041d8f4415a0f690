"""Loads settings from flags, DIGITSTREAM_* variables, digitstream.toml and defaults, in this order
of precedence.

Only the command line calls this.
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
    Producing,
    Querying,
    Rescoring,
    Settings,
    Training,
)
from contract.settings.setting import PREFIX, Setting, settings_of

S = TypeVar("S", bound=Settings)

FILE = Path("digitstream.toml")
FILE_BYTES = 1 << 20
"""Largest file of settings."""

PROFILES = "profiles.toml"
"""The file in HOME that `digitstream broker start --secure` writes."""


SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for kind in (Producing, Rescoring, Archiving, Querying, Training)
    for setting in settings_of(kind)
}
"""All settings of all programs, by name."""


def load(
    kind: type[S],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: Path = FILE,
) -> S:
    """Load the settings of one program. Flags that are None count as absent; the file may be
    missing.

    The file and the environment may contain settings of any program. Raises SettingsError that
    lists all unknown names, each with the closest known one, and all invalid values.
    """
    values: dict[str, Any] = {}
    complaints: list[str] = []
    file_source, tables = _file(file)
    sources = (file_source, _environment(environ), _flags(flags))
    for source in sources:
        for name, value in source.values.items():
            if name not in SETTINGS:
                complaints.append(source.unknown_name(name))
                continue
            try:
                values[name] = SETTINGS[name].rule.read(value)
            except ValueError as exc:
                complaints.append(f"{source.spell(name)} is {value!r}, but must be {exc}")
    if "kafka_profile" in values:
        home = values.get("home", Settings.home)
        all_tables = {**_profiles(home / PROFILES), **tables}
        try:
            profile = profiles.read(values["kafka_profile"], all_tables, environ, datetime.now(UTC))
        except SettingsError as exc:
            complaints.append(str(exc).rstrip("."))
        else:
            values["security"] = profile.security
            is_overridden = any("bootstrap_servers" in source.values for source in sources[1:])
            if profile.servers is not None and not is_overridden:
                values["bootstrap_servers"] = profile.servers
    if complaints:
        raise SettingsError("; ".join(complaints) + ".")
    return kind(
        **{field.name: values[field.name] for field in fields(kind) if field.name in values}
    )


def environment(settings: Settings) -> dict[str, str]:
    """The shared settings as environment variables for a digitstream command in a subprocess,
    whatever its working directory.
    """
    absolute = replace(settings, home=settings.home.resolve())
    return {
        setting.variable: setting.rule.write(value)
        for setting in settings_of(Settings)
        if (value := getattr(absolute, setting.name)) is not None
    }


@dataclass(frozen=True)
class _Source:
    """The settings in one source, by name, and how that source spells a name."""

    values: Mapping[str, object]
    spell: Callable[[str], str]

    def unknown_name(self, name: str) -> str:
        near = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0)[0]
        return f"{self.spell(name)} is no setting; the nearest is {self.spell(near)}"


def _flags(flags: Mapping[str, object]) -> _Source:
    values = {name: value for name, value in flags.items() if value is not None}
    return _Source(values, lambda name: f"--{name.replace('_', '-')}")


def _environment(environ: Mapping[str, str]) -> _Source:
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX)
    }
    return _Source(values, lambda name: PREFIX + name.upper())


def _file(file: Path) -> tuple[_Source, Tables]:
    """The settings and the profiles in a file."""
    content = _toml(file)
    tables = content.pop("kafka", {})
    if not isinstance(tables, dict):
        message = (
            f"kafka in {file} is not a table. Each connection profile is a table with a name. "
            f"Write [kafka.NAME]."
        )
        raise SettingsError(message)
    source = _Source(
        {name.replace("-", "_"): value for name, value in content.items()},
        lambda name: f"{name} in {file}",
    )
    return source, tables


def _profiles(file: Path) -> Tables:
    """The profiles that the embedded broker wrote for its clients."""
    return _file(file)[1]


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(files.read_text(file, FILE_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, RecursionError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        message = (
            f"{file} cannot be read: {reason}. It must be TOML with one setting per line, like "
            f"`rate = 1000`. Fix or remove it."
        )
        raise SettingsError(message) from exc
