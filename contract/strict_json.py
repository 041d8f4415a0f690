"""JSON as its standard has it, from bytes that nobody vouches for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

# How JSON spells half a surrogate pair, or one half of a pair.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Members = Callable[[list[tuple[str, Any]]], dict[str, Any]]
"""Makes an object of its members, in their order."""


def object_of(text: bytes) -> dict[str, Any]:
    """The object in UTF-8 JSON as every reader understands it (I-JSON, RFC 7493): no name comes
    twice, and texts are Unicode. Every failure is a ValueError.
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
        except RecursionError as exc:
            message = "it is nested too deep"
            raise ValueError(message) from exc
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object; raises ValueError if a name comes twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        message = "an object has a name twice"
        raise ValueError(message)
    return members


def loads(text: bytes, members: Members | None = None) -> Any:
    """The value of UTF-8 JSON. Every failure, NaN and endless nesting too, is a ValueError.

    Of a name that comes twice in an object the last value counts, unless `members` says otherwise.
    """
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=members)
    except UnicodeDecodeError as exc:
        message = "it is not UTF-8"
        raise ValueError(message) from exc
    except RecursionError as exc:
        message = "it is nested too deep"
        raise ValueError(message) from exc


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise ValueError(message)
