"""JSON as its standard has it, from bytes that nobody vouches for."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def loads(text: bytes) -> Any:
    """The value of UTF-8 JSON. Every failure, NaN and endless nesting too, is a ValueError."""
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as exc:
        message = "it is not UTF-8"
        raise ValueError(message) from exc
    except RecursionError as exc:
        message = "it is nested too deep"
        raise ValueError(message) from exc


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise ValueError(message)
