"""Events changed in every way that JSON and Kafka's headers allow."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from contract.wire.headers import Header

RAW_JSON = ("1e400", "-1e400", "NaN", "Infinity", "3.0", "-0.0", "1" * 5000, "[" * 10_000)
RAW_JSON += ("[" * 600 + "]" * 600, '{"a":1,"a":1}')
TEXTS = ("", "zz", "0.5", "1", "x" * 10_000, "\ud800", "\U0001f600", "\0", "1\n", "\x1b[31m")
TIMES_GOOD = ("2026-01-31t12:00:00.1234567Z", "2016-12-31T23:59:60Z", "2024-02-29T23:59:59Z")
TIMES_BAD = ("2026-02-29T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:00Z\n", "noonZ")
TIMES_ZONED = ("2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00z", "2026-01-31T12:00:00-00:00")
TIMES_EDGE = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60Z")
PLACES = ("digits.readings/0/1", "a/00/1", "a/0/-1", "a/0/1\n", "a/1000000000/0", "/0/0")
ODD = (None, True, False, 0, 1, -1, 0.5, 1.5, 2**63, 2**63 - 1, 10**400, -(10**400), [], {}, [0, 1])
NAMES = st.text("aid_.\u00e9", max_size=4)
LEAVES = st.one_of(
    st.sampled_from([*ODD, *TEXTS, *TIMES_GOOD, *TIMES_BAD, *TIMES_ZONED, *TIMES_EDGE, *PLACES]),
    st.sampled_from(RAW_JSON).map(lambda text: f"<<{text}>>"),
    st.integers(),
    st.floats(0, 1),
    st.text("aZ0:/ \u00e9\U0001f600", max_size=8),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=4,
)


def places(value: object, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the members of nested objects and lists are."""
    members = enumerate(value) if isinstance(value, list) else getattr(value, "items", list)()
    for name, member in members:
        yield (*before, name)
        yield from places(member, (*before, name))


@st.composite
def mutated(draw: st.DrawFn, body: dict[str, Any]) -> bytes:
    """A body as JSON with some members changed, gone, added or doubled."""
    changed, doubled = copy.deepcopy(body), b""
    for _ in range(draw(st.integers(0, 2))):
        *path, last = draw(st.sampled_from([*places(changed)] or [("id",)]))
        place: Any = changed
        for name in path:
            place = place[name]
        match draw(st.sampled_from(["change", "change", "change", "drop", "add", "double"])):
            case "drop" if isinstance(place, dict):
                place.pop(last, None)
            case "add" if isinstance(place, dict):
                place[draw(NAMES)] = draw(VALUES)
            case "double" if place is changed:
                doubled = json.dumps({last: changed.get(last)}).encode()[1:-1] + b","
            case _:
                place[last] = draw(VALUES)
    text = json.dumps(changed).encode()
    text = text[:1] + doubled + text[1:] if len(text) > 2 else text
    return re.sub(rb'"<<(.*?)>>"', lambda raw: raw[1].replace(rb"\"", b'"'), text)


@st.composite
def mutated_headers(draw: st.DrawFn, headers: list[Header]) -> list[Header]:
    """Headers with some changed, gone, added or doubled."""
    changed = list(headers)
    texts = st.sampled_from(
        [*TEXTS, *TIMES_GOOD, *TIMES_BAD, *TIMES_ZONED, *TIMES_EDGE, *PLACES, "1.0", "2"]
    )
    plain = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    values = plain | st.binary(max_size=6) | st.none() | st.integers(0).map(lambda n: b"%d" % n)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(changed) - 1)) if changed else 0
        name = changed[at][0] if changed else "x"
        match draw(st.sampled_from(["change", "change", "drop", "double", "add"])):
            case "change" if changed:
                changed[at] = (name, draw(values))
            case "drop" if changed:
                del changed[at]
            case "double":
                changed.append((name, draw(values)))
            case _:
                changed.insert(at, (draw(NAMES), draw(values)))
    return changed
