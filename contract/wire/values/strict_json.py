"""Strict JSON parsing of untrusted bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import Any, NoReturn

# A JSON escape for half of a surrogate pair, with or without the other half.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# Every quote begins a match, even of an unfinished text, so that the search takes linear time.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.?)*"?', re.DOTALL)

# Opening brackets become 1, closing ones -1 as a signed byte; their sums are the depths.
_LEVELS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")
_OTHERS = bytes({*range(256)} - {*b"[]{}"})

DEPTH = 64
"""Maximum nesting of arrays and objects."""

Members = Callable[[list[tuple[str, Any]]], dict[str, Any]]
"""Builds an object from its members, in order."""


def object_of(text: bytes) -> dict[str, Any]:
    """The object in interoperable UTF-8 JSON (RFC 8259): no duplicate names, texts are valid
    Unicode. Every failure is a ValueError.
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
    """The members of an object; raises ValueError for duplicate names."""
    members = dict(pairs)
    if len(members) < len(pairs):
        message = "an object has a name twice"
        raise _Refused(message)
    return members


def loads(text: bytes, members: Members | None = None) -> Any:
    """The value of UTF-8 JSON. Every failure, also NaN and more than DEPTH levels, is a ValueError.

    Of duplicate names in an object, the last value counts, unless `members` raises.
    """
    _check_depth(text)
    try:
        return _decoder(members).decode(text.decode("utf-8"))
    except UnicodeDecodeError as exc:
        message = "it is not UTF-8"
        raise ValueError(message) from exc
    except (json.JSONDecodeError, _Refused):
        raise
    except ValueError as exc:  # Python limits the digits of integers
        message = "a number has too many digits"
        raise ValueError(message) from exc


@lru_cache(maxsize=8)
def _decoder(members: Members | None) -> json.JSONDecoder:
    """A decoder for all texts; json.loads creates one per text, a quarter of its time for a
    score.
    """
    return json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=members)


def _check_depth(text: bytes) -> None:
    """Raise ValueError if arrays and objects are nested too deep."""
    if text.count(b"[") + text.count(b"{") <= DEPTH:
        return
    levels = memoryview(_TEXT.sub(b"", text).translate(_LEVELS, _OTHERS)).cast("b")
    if max(accumulate(levels), default=0) > DEPTH:
        message = f"it is nested more than {DEPTH} deep"
        raise ValueError(message)


class _Refused(ValueError):
    """JSON that Python accepts, but the standard does not."""


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise _Refused(message)
