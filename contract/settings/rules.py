"""Rules for the values of settings.

A rule parses a text or a TOML value, raising ValueError with what the value must be, and formats a
value as text again. Numbers have bounds where larger ones would make a program fail or never end.
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
"""Largest duration, a hundred years: added to any plausible time, it still gives a valid date."""

_LONGEST_NAME = 255


@dataclass(frozen=True, eq=False, repr=False, match_args=False)
class Rule:
    """How a setting's value is parsed and formatted; `must_be` describes valid values."""

    must_be: str
    convert: Callable[[Any], Any]
    """Parses a text or a TOML value. Raises ValueError; its message, if any, replaces `must_be`."""
    write: Callable[[Any], str] = str
    metavar: str = "TEXT"
    """Placeholder for the value in a command's help."""

    def read(self, value: object) -> Any:
        """The parsed value; raises ValueError with what it must be."""
        try:
            return self.convert(value)
        except ValueError as exc:
            raise ValueError(str(exc) or self.must_be) from exc


def whole(least: int, most: int = 10**18 - 1) -> Rule:
    """A whole number within bounds, both included."""
    upper = f"{most:,}" if most < 10**17 else "10^18 - 1"

    def convert(value: object) -> int:
        if re.fullmatch(r"[0-9]{1,18}", str(value)) is None or not least <= int(str(value)) <= most:
            raise ValueError
        return int(str(value))

    return Rule(f"a whole number from {least:,} to {upper}", convert, metavar="INTEGER")


def matching(pattern: str, must_be: str, metavar: str = "TEXT") -> Rule:
    """A text that matches a regular expression in full."""

    def convert(value: object) -> str:
        if re.fullmatch(pattern, str(value)) is None:
            raise ValueError
        return str(value)

    return Rule(must_be, convert, metavar=metavar)


def one_of(words: tuple[str, ...]) -> Rule:
    """One of the given words."""

    def convert(value: object) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Rule(_alternatives(words), convert)


def _alternatives(words: tuple[str, ...]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def home_expanded(text: str) -> Path:
    """The path with a leading ~ or ~user replaced by that user's home; raises ValueError if there
    is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        message = f"a path, and {text.partition('/')[0]} is no user's home"
        raise ValueError(message) from exc


def _text(value: object) -> str:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        message = "a text that is not empty"
        raise ValueError(message)
    return str(value)


def _path(value: object) -> Path:
    file = Path(_text(value))
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in file.parts):
        message = f"a path whose parts have at most {_LONGEST_NAME} bytes each"
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
    parts = urlsplit(uri)  # may raise ValueError, too
    is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    if not is_server and not (uri.startswith("sqlite:///") and len(uri) > len("sqlite:///")):
        raise ValueError
    return uri


def _without_message(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same conversion, but its ValueErrors have no message, so that the rule's is used."""

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
    """The duration in the largest unit in which it is a whole number, else in seconds."""
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


_DURATION = "a duration like 500ms, 2s, 5m or 1h, or a number of seconds, at most 36500d"

text = Rule("a text that is not empty", _text)
any_text = Rule("a text", str)
path = Rule("a path", _path, metavar="PATH")
existing_file = Rule("an existing file", _existing_file, metavar="FILE")
folder = Rule("sample, or the path of a folder", _address, metavar="PATH")
address = Rule("a path, or a URL that Hadoop supports", _address, metavar="PATH")
tracking_uri = Rule(
    "a SQLite URL like sqlite:////srv/mlflow.db, or the http(s) URL of an MLflow server",
    _without_message(_tracking_uri),
)
seconds = Rule(_DURATION, _seconds, _write_seconds, "DURATION")
positive_seconds = Rule(
    "a duration above 0, like 500ms", _positive_seconds, _write_seconds, "DURATION"
)
time = Rule("a time like 2026-01-31T09:15:00Z", _moment, stamp, "TIME")
rate = Rule("a number of readings per second, at least 1e-6, or max", _rate, _write_rate, "RATE")
share = Rule("a share from 0 to 1, like 10% or 0.1", _share, _write_share, "SHARE")
factor = Rule("a factor of at least 1", _factor, _write_number, "FLOAT")
flag = Rule("true or false", _flag, lambda value: str(value).lower())
seed = whole(0, 2**32 - 1)  # what NumPy's and Keras' generators take

_SERVER = r"\s*([\w.-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}\s*"
_TOPIC = r"\s*[a-zA-Z0-9._-]{1,249}\s*"
_COORDINATES = r"[\w.-]+(:[\w.-]+){2,}"

servers = matching(
    f"{_SERVER}(,{_SERVER})*", "HOST:PORT, several separated by commas", "HOST:PORT,..."
)
profile = matching(
    r"[a-zA-Z0-9_-]{1,100}", "letters a-z and A-Z, digits, underscores and dashes", "NAME"
)
prefix = matching(
    r"[a-zA-Z0-9._-]{1,200}", "letters a-z and A-Z, digits, dots, underscores and dashes"
)
topic = matching(f"({_TOPIC})?", "the name of a topic", "TOPIC")
topics = matching(
    f"({_TOPIC}(,{_TOPIC})*)?", "names of topics, several separated by commas", "TOPIC,..."
)
query = matching(
    r"(?!.*\.(?:lock|topics\.json)$)[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,99}",
    "letters a-z and A-Z, digits, underscores, dashes and, except at the beginning, dots; it must "
    "not end in .lock or .topics.json",
)
model = matching(r"[^/:.%\"']+", "a name without / : . % or quotes")
version = matching(r"[0-9]{0,9}", "a version number from `digitstream models list`")
packages = matching(
    rf"|{_COORDINATES}(,\s*{_COORDINATES})*", "GROUP:ARTIFACT:VERSION, several separated by commas"
)
