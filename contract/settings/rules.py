"""The rules that values of settings keep to.

A rule reads a value from a text or a TOML value, raising ValueError that says what the value must
be, and writes a value as such a text. Numbers are bounded where a program would fail on them, or
never end.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contract.wire.values.times import moment, stamp

MOST_SECONDS = 36_500 * 86_400.0
"""Of a duration: a hundred years. From any clock that is roughly right it leads to a date."""

_LONGEST_NAME = 255


@dataclass(frozen=True)
class Rule:
    """How a value is read and written; `must_be` says for a person what it must be."""

    must_be: str
    convert: Callable[[Any], Any]
    """A value, from a text or a TOML value. Raises ValueError, whose text, where it has one, takes
    the place of `must_be`."""
    write: Callable[[Any], str] = str
    metavar: str = "TEXT"
    """What stands for the value in a command's help."""

    def read(self, value: object) -> Any:
        """The value; raises ValueError that says what it must be."""
        try:
            return self.convert(value)
        except ValueError as exc:
            raise ValueError(str(exc) or self.must_be) from exc


def whole(least: int, most: int = 10**18 - 1) -> Rule:
    """A whole number within bounds."""
    upper = f"{most:,}" if most < 10**17 else "10^18 - 1"

    def convert(value: object) -> int:
        if re.fullmatch(r"[0-9]{1,18}", str(value)) is None or not least <= int(str(value)) <= most:
            raise ValueError
        return int(str(value))

    return Rule(f"a whole number from {least} to {upper}", convert, metavar="INTEGER")


def matching(pattern: str, must_be: str, metavar: str = "TEXT") -> Rule:
    """A text that matches a regular expression as a whole."""

    def convert(value: object) -> str:
        if re.fullmatch(pattern, str(value)) is None:
            raise ValueError
        return str(value)

    return Rule(must_be, convert, metavar=metavar)


def one_of(words: tuple[str, ...]) -> Rule:
    """One of some words."""

    def convert(value: object) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Rule(" or ".join(words), convert)


def home_expanded(text: str) -> Path:
    """The path, in which a leading ~ or ~user stands for that user's home; raises ValueError if
    there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        message = f"a path, and {text.partition('/')[0]} is nobody's home"
        raise ValueError(message) from exc


def _text(value: object) -> str:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        message = "some text"
        raise ValueError(message)
    return str(value)


def _path(value: object) -> Path:
    file = Path(_text(value))
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in file.parts):
        message = f"a path, whose names have {_LONGEST_NAME} bytes at most"
        raise ValueError(message)
    return file


def _existing_file(value: object) -> Path:
    if not (file := home_expanded(str(_path(value)))).is_file():
        raise ValueError
    return file


def _address(value: object) -> str:
    home_expanded(str(_path(value)))
    return _text(value)


def _tracking_uri(value: object) -> str:
    uri = _text(value)
    parts = urlsplit(uri)  # raises ValueError of its own
    is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    if not is_server and not (uri.startswith("sqlite:///") and len(uri) > len("sqlite:///")):
        raise ValueError
    return uri


def _without_words(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same, but that what Python says of a value is left to the rule."""

    def silent(value: object) -> Any:
        try:
            return convert(value)
        except ValueError:
            raise ValueError from None

    return silent


def _number(value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise ValueError
    return number


def _factor(value: object) -> float:
    if (number := _number(value)) < 1:
        raise ValueError
    return number


_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: object) -> float:
    parts = re.fullmatch(r"(.*?)(ms|s|m|h|d)?", str(value).strip())
    if parts is None:
        raise ValueError
    duration = _number(parts[1].strip()) * _UNITS[parts[2] or "s"]
    if duration > MOST_SECONDS:
        raise ValueError
    return duration


def _positive_seconds(value: object) -> float:
    try:
        duration = _seconds(value)
    except ValueError as exc:
        raise ValueError(_DURATION) from exc
    if duration == 0:
        raise ValueError
    return duration


def _write_seconds(duration: float) -> str:
    """In the largest unit in which it is a whole number, if there is one."""
    units = [] if duration == 0 else [*reversed(_UNITS.items())]
    for unit, size in units:
        count = round(duration / size)
        if count and _seconds(f"{count}{unit}") == duration:
            return f"{count}{unit}"
    return f"{duration:g}s" if float(f"{duration:g}") == duration else f"{duration!r}s"


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat()
        return moment(str(value))
    except (OverflowError, ValueError) as exc:
        message = f"a time like 2026-01-31T09:15:00Z ({exc})"
        raise ValueError(message) from exc


def _rate(value: object) -> float:
    number = math.inf if value in ("max", math.inf) else _number(value)
    if number < 1e-6:
        raise ValueError
    return number


def _write_rate(number: float) -> str:
    return "max" if math.isinf(number) else _write_number(number)


def _share(value: object) -> float:
    digits = str(value).strip()
    number = _number(digits.removesuffix("%")) / (100 if digits.endswith("%") else 1)
    if number > 1:
        raise ValueError
    return number


def _write_share(number: float) -> str:
    percent = f"{number * 100:g}%"
    return percent if _share(percent) == number else _write_number(number)


def _write_number(number: float) -> str:
    return repr(number).removesuffix(".0")


def _flag(value: object) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


_DURATION = "a time like 500ms, 2s, 5m, 1h, or a number of seconds, 36500d at most"

text = Rule("some text", _text)
any_text = Rule("some text, or none", str)
path = Rule("a path", _path, metavar="PATH")
existing_file = Rule("a file that is there", _existing_file, metavar="FILE")
folder = Rule("a folder, or sample", _address, metavar="PATH")
address = Rule("a path, or an address that Hadoop knows", _address, metavar="PATH")
tracking_uri = Rule(
    "a SQLite file like sqlite:////srv/mlflow.db, or the http address of an MLflow server",
    _without_words(_tracking_uri),
)
seconds = Rule(_DURATION, _seconds, _write_seconds, "DURATION")
positive_seconds = Rule("a time above 0, like 500ms", _positive_seconds, _write_seconds, "DURATION")
time = Rule("a time like 2026-01-31T09:15:00Z", _moment, stamp, "TIME")
rate = Rule("a number of readings a second, from 1e-6 on, or max", _rate, _write_rate, "RATE")
share = Rule("a share like 10% or 0.1, from 0 to 1", _share, _write_share, "SHARE")
factor = Rule("a number from 1 on, how many times as long", _factor, _write_number, "FLOAT")
flag = Rule("true or false", _flag, lambda value: str(value).lower())
seed = whole(0, 2**32 - 1)  # what NumPy's and Keras' generators take

_SERVER = r"\s*([\w.-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}\s*"
_TOPIC = r"\s*[a-zA-Z0-9._-]{1,249}\s*"
_COORDINATES = r"[\w.-]+(:[\w.-]+){2,}"

servers = matching(f"{_SERVER}(,{_SERVER})*", "host:port, several with commas", "HOST:PORT,...")
profile = matching(r"[a-zA-Z0-9_-]{1,100}", "letters, digits, dashes", "NAME")
prefix = matching(r"[a-zA-Z0-9._-]{1,200}", "letters a-z and A-Z, digits, dots, dashes")
topic = matching(f"({_TOPIC})?", "a topic", "TOPIC")
topics = matching(f"({_TOPIC}(,{_TOPIC})*)?", "topics, several with commas", "TOPIC,...")
query = matching(
    r"(?!.*\.(?:lock|topics\.json)$)[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,99}",
    "letters a-z and A-Z, digits, dashes and, not at the beginning, dots; .lock and .topics.json "
    "are the endings of files beside a checkpoint",
)
model = matching(r"[^/:.%\"']+", "a name without / : . % or quotes")
version = matching(r"[0-9]{0,9}", "a number, as `digitstream models list` has it")
packages = matching(rf"|{_COORDINATES}(,\s*{_COORDINATES})*", "group:artifact:version,...")
