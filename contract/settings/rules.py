"""The rule of each setting: its value from a text or a TOML value.

A rule raises ValueError that says what the value must be. Numbers are bounded where a program
would fail on them, or never end.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from contract.kafka.connection import SERVERS
from contract.model.manifest import Colour
from contract.model.scaling import Invert
from contract.settings.programs import Engine, Payload
from contract.wire.values.times import moment

MOST_SECONDS = 36_500 * 86_400.0
"""Of a duration: a hundred years. From any clock that is roughly right it leads to a date."""

_LONGEST_NAME = 255

MOST_PARTITIONS, MOST_DEVICES = 10_000, 1_000_000
MOST_SEED = 2**32 - 1
"""What NumPy's and Keras' generators take."""


def _text(value: object) -> str:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        message = "some text"
        raise ValueError(message)
    return str(value)


def _path(value: object) -> Path:
    path = Path(_text(value))
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        message = f"a path, whose names have {_LONGEST_NAME} bytes at most"
        raise ValueError(message)
    return path


def home_expanded(text: str) -> Path:
    """The path, in which a leading ~ or ~user stands for that user's home; raises ValueError if
    there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        message = f"a path, and {text.partition('/')[0]} is nobody's home"
        raise ValueError(message) from exc


def _file_there(value: object) -> Path:
    if not (file := home_expanded(str(_path(value)))).is_file():
        raise ValueError("a file that is there")  # noqa: EM101
    return file


def _address(value: object) -> str:
    home_expanded(str(_path(value)))
    return _text(value)


def _tracking_uri(value: object) -> str:
    wanted = "a SQLite file like sqlite:////srv/mlflow.db, or the http address of an MLflow server"
    text = _text(value)
    try:
        parts = urlsplit(text)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as exc:
        raise ValueError(wanted) from exc
    if not is_server and not (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        raise ValueError(wanted)
    return text


def _whole(least: int, most: int = 10**18 - 1) -> Callable[[object], int]:
    wanted = f"a whole number from {least} " + (f"to {most:,}" if most < 10**17 else "to 10^18 - 1")

    def rule(value: object) -> int:
        if re.fullmatch(r"[0-9]{1,18}", str(value)) is None or not least <= int(str(value)) <= most:
            raise ValueError(wanted)
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


def _times_as_long(value: object) -> float:
    wanted = "a number from 1 on, how many times as long"
    if (number := _number(value, wanted)) < 1:
        raise ValueError(wanted)
    return number


_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: object) -> float:
    wanted = "a time like 500ms, 2s, 5m, 1h, or a number of seconds, 36500d at most"
    parts = re.fullmatch(r"(.*?)(ms|s|m|h|d)?", str(value).strip())
    if parts is None:
        raise ValueError(wanted)
    seconds = _number(parts[1].strip(), wanted) * _UNITS[parts[2] or "s"]
    if seconds > MOST_SECONDS:
        raise ValueError(wanted)
    return seconds


def _positive_seconds(value: object) -> float:
    seconds = _seconds(value)
    if seconds == 0:
        message = "a time above 0, like 500ms"
        raise ValueError(message)
    return seconds


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat()
        return moment(str(value))
    except (OverflowError, ValueError) as exc:
        message = f"a time like 2026-01-31T09:15:00Z ({exc})"
        raise ValueError(message) from exc


def _rate(value: object) -> float:
    wanted = "a number of readings a second, from 1e-6 on, or max"
    number = math.inf if value in ("max", math.inf) else _number(value, wanted)
    if number < 1e-6:
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
    words = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in words:
        message = "true or false"
        raise ValueError(message)
    return words[str(value).lower()]


def _matching(pattern: str, wanted: str) -> Callable[[object], str]:
    def rule(value: object) -> str:
        if re.fullmatch(pattern, str(value)) is None:
            raise ValueError(wanted)
        return str(value)

    return rule


_TOPIC = r"\s*[a-zA-Z0-9._-]{1,249}\s*"

RULES: dict[str, Callable[[object], Any]] = {
    "home": _path,
    "bootstrap_servers": _matching(SERVERS, "host:port, several with commas"),
    "kafka_profile": _matching(r"[a-zA-Z0-9_-]{1,100}", "letters, digits, dashes"),
    "master": _text,
    "spark_secret_file": _file_there,
    "prefix": _matching(r"[a-zA-Z0-9._-]{1,200}", "letters a-z and A-Z, digits, dots, dashes"),
    "partitions": _whole(1, MOST_PARTITIONS),
    "model": _matching(r"[^/:.%\"']+", "a name without / : . % or quotes"),
    "tracking_uri": _tracking_uri,
    "data": _address,
    "seed": _whole(0, MOST_SEED),
    "count": _whole(1),
    "rate": _rate,
    "devices": _whole(1, MOST_DEVICES),
    "payload": _one_of(get_args(Payload)),
    "faults": str,
    "clock_skew": _seconds,
    "label_delay": _seconds,
    "engine": _one_of(get_args(Engine)),
    "name": _matching(
        r"(?!.*\.(?:lock|topics\.json)$)[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,99}",
        "letters a-z and A-Z, digits, dashes and, not at the beginning, dots; .lock and "
        ".topics.json are the endings of files beside a checkpoint",
    ),
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
    "guard_slowness": _times_as_long,
    "tables": _address,
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
"""Every setting of every program, with its rule."""
