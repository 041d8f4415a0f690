"""JSON as its standard has it, from bytes that nobody vouches for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import Any, NoReturn

# How JSON spells half a surrogate pair, or one half of a pair.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# Every quote begins a match, an unfinished text's too, so that none is looked at twice.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.?)*"?', re.DOTALL)

# A level more for each bracket that opens, and one less, as a signed byte, for each that closes.
_LEVELS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")
_OTHERS = bytes({*range(256)} - {*b"[]{}"})

DEPTH = 64
"""How deep arrays and objects may lie in each other."""

Members = Callable[[list[tuple[str, Any]]], dict[str, Any]]
"""Makes an object of its members, in their order."""


def object_of(text: bytes) -> dict[str, Any]:
    """The object in UTF-8 JSON as every reader understands it (RFC 8259): no name comes twice,
    and texts are Unicode. Every failure is a ValueError.
    """
    body = loads(text, _unique)
    if not isinstance(body, dict):
        message = "it is no JSON object"
        raise ValueError(message)
    if _SURROGATE.search(text):
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError as exc:
            message = "a text has half a surrogate pair"
            raise ValueError(message) from exc
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object; raises ValueError if a name comes twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        message = "an object has a name twice"
        raise _Refused(message)
    return members


def loads(text: bytes, members: Members | None = None) -> Any:
    """The value of UTF-8 JSON. Every failure, NaN and more than DEPTH levels too, is a ValueError.

    Of a name that comes twice in an object the last value counts, unless `members` says otherwise.
    """
    _check_depth(text)
    try:
        return _decoder(members).decode(text.decode("utf-8"))
    except UnicodeDecodeError as exc:
        message = "it is not UTF-8"
        raise ValueError(message) from exc
    except (json.JSONDecodeError, _Refused):
        raise
    except ValueError as exc:  # Python's, which reads no number of some thousand digits
        message = "a number has too many digits"
        raise ValueError(message) from exc


@lru_cache(maxsize=8)
def _decoder(members: Members | None) -> json.JSONDecoder:
    """One for all texts: json.loads makes one for each, in a quarter of its time for a score."""
    return json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=members)


def _check_depth(text: bytes) -> None:
    """Raise ValueError if arrays and objects lie deeper in each other than they may."""
    if text.count(b"[") + text.count(b"{") <= DEPTH:
        return
    levels = memoryview(_TEXT.sub(b"", text).translate(_LEVELS, _OTHERS)).cast("b")
    if max(accumulate(levels), default=0) > DEPTH:
        message = f"it is nested more than {DEPTH} deep"
        raise ValueError(message)


class _Refused(ValueError):
    """JSON that Python would read, and the standard does not have."""


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise _Refused(message)
