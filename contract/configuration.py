"""Settings from flags, then DIGITSTREAM_* variables, then digitstream.toml, then the defaults.

Only the front door calls this.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

from contract import files, profiles
from contract.connection import SERVERS
from contract.errors import SettingsError
from contract.manifest import Colour
from contract.profiles import Tables
from contract.scaling import Invert
from contract.settings import Engine, Payload, Settings
from contract.times import moment

S = TypeVar("S", bound=Settings)

FILE = Path("digitstream.toml")
FILE_BYTES = 1 << 20
"""Of a file of settings at most."""

PREFIX = "DIGITSTREAM_"
PROFILES = "profiles.toml"
"""In HOME: what `digitstream broker start --secure` writes."""


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
            if name not in RULES:
                complaints.append(source.unknown(name))
                continue
            try:
                values[name] = RULES[name](value)
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


@dataclass(frozen=True)
class _Source:
    """Settings by name as one source gives them, and how that source spells a name."""

    given: Mapping[str, object]
    spelled: Callable[[str], str]

    def unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, RULES, n=1, cutoff=0)[0]
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


def _text(value: object) -> str:
    if not isinstance(value, str | Path) or not str(value):
        message = "some text"
        raise ValueError(message)
    return str(value)


def _file_there(value: object) -> Path:
    if not (file := Path(_text(value)).expanduser()).is_file():
        raise ValueError("a file that is there")  # noqa: EM101
    return file


def _whole(least: int) -> Callable[[object], int]:
    def rule(value: object) -> int:
        if re.fullmatch(r"[0-9]{1,18}", str(value)) is None or int(str(value)) < least:
            message = f"a whole number from {least} on"
            raise ValueError(message)
        return int(str(value))

    return rule


def _number(value: object, least: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        message = least
        raise ValueError(message)
    return number


_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: object) -> float:
    wanted = "a time like 500ms, 2s, 5m, 1h, or a number of seconds"
    found = re.fullmatch(r"(.*?)(ms|s|m|h|d)?", str(value).strip())
    if found is None:
        raise ValueError(wanted)
    return _number(found[1].strip(), wanted) * _UNITS[found[2] or "s"]


def _positive_seconds(value: object) -> float:
    seconds = _seconds(value)
    if seconds == 0:
        message = "a time above 0, like 500ms"
        raise ValueError(message)
    return seconds


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        value = value.astimezone(UTC).isoformat()
    try:
        return moment(str(value))
    except ValueError as exc:
        message = f"a time like 2026-01-31T09:15:00Z ({exc})"
        raise ValueError(message) from exc


def _rate(value: object) -> float:
    wanted = "a number of readings a second above 0, or max"
    number = math.inf if value in ("max", math.inf) else _number(value, wanted)
    if number == 0:
        raise ValueError(wanted)
    return number


def _share(value: object) -> float:
    wanted = "a share like 10% or 0.1, from 0 to 1"
    text = str(value).strip()
    number = _number(text.removesuffix("%"), wanted) / (100 if text.endswith("%") else 1)
    if number > 1:
        raise ValueError(wanted)
    return number


def _one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    def rule(value: object) -> str:
        if value not in names:
            raise ValueError(" or ".join(names))
        return str(value)

    return rule


def _flag(value: object) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in known:
        message = "true or false"
        raise ValueError(message)
    return known[str(value).lower()]


def _matching(pattern: str, wanted: str) -> Callable[[object], str]:
    def rule(value: object) -> str:
        if re.fullmatch(pattern, str(value)) is None:
            raise ValueError(wanted)
        return str(value)

    return rule


_TOPIC = r"\s*[a-zA-Z0-9._-]{1,249}\s*"

RULES: dict[str, Callable[[object], Any]] = {
    "home": lambda value: Path(_text(value)),
    "bootstrap_servers": _matching(SERVERS, "host:port, several with commas"),
    "kafka_profile": _matching(r"[a-zA-Z0-9_-]{1,100}", "letters, digits, dashes"),
    "master": _text,
    "spark_secret_file": _file_there,
    "prefix": _matching(r"[a-zA-Z0-9._-]{1,200}", "letters, digits, dots, dashes"),
    "partitions": _whole(1),
    "model": _matching(r"[^/:.%\"']+", "a name without / : . % or quotes"),
    "tracking_uri": _text,
    "data": _text,
    "seed": _whole(0),
    "count": _whole(1),
    "rate": _rate,
    "devices": _whole(1),
    "payload": _one_of(get_args(Payload)),
    "faults": str,
    "clock_skew": _seconds,
    "label_delay": _seconds,
    "engine": _one_of(get_args(Engine)),
    "name": _matching(r"[a-zA-Z0-9._-]{1,100}", "letters, digits, dots, dashes"),
    "max_offsets_per_trigger": _whole(1),
    "max_latency": _positive_seconds,
    "trigger": _seconds,
    "available_now": _flag,
    "from_timestamp": _moment,
    "to_timestamp": _moment,
    "version": _matching(r"[0-9]{0,9}", "a number, as `digitstream models list` has it"),
    "topic": _matching(f"({_TOPIC})?", "a topic"),
    "skip_lost": _flag,
    "subscribe": _matching(f"({_TOPIC}(,{_TOPIC})*)?", "topics, several with commas"),
    "canary": _share,
    "shadow": _share,
    "guard_readings": _whole(0),
    "guard_agreement": _share,
    "guard_slowness": lambda value: _number(value, "a number"),
    "tables": _text,
    "packages": _matching(
        r"|[\w.-]+(:[\w.-]+){2,}(,\s*[\w.-]+(:[\w.-]+){2,})*", "group:artifact:version,..."
    ),
    "query_timeout": _positive_seconds,
    "batch_records": _whole(1),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "invert": _one_of(get_args(Invert)),
    "colour": _one_of(get_args(Colour)),
}
"""Every setting of every program -> its value from a text or a TOML value, or ValueError that
says what it must be."""
