"""JSON of whoever sends it: the same value or refusal every time, whatever the caller does."""

from __future__ import annotations

import pytest

from contract.wire.values.strict_json import DEPTH, loads


def nested(depth: int, inside: bytes = b"") -> bytes:
    return b"[" * depth + inside + b"]" * depth


@pytest.mark.parametrize(
    "text",
    [
        nested(DEPTH),
        nested(DEPTH, b'"[[[[{{{{"'),
        nested(DEPTH, b'"\\"[[[[\\\\"'),
        b"[" + b"[]," * 1000 + b"{}]",
        b'{"a":' * (DEPTH - 1) + b"[]" + b"}" * (DEPTH - 1),
    ],
    ids=["arrays", "with brackets in a text", "with quotes in a text", "wide", "objects"],
)
def test_what_is_as_deep_as_it_may_be_is_read(text: bytes) -> None:
    assert loads(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        nested(DEPTH + 1),
        nested(100_000),
        b"[" * 100_000,
        b'["a\\"b"' + b",[" * DEPTH,
        b'{"a":' * DEPTH + b"[]" + b"}" * DEPTH,
    ],
    ids=["arrays", "very deep", "not closed", "after a text", "objects"],
)
def test_what_is_deeper_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=f"^it is nested more than {DEPTH} deep$"):
        loads(text)


@pytest.mark.parametrize("text", [b'"' * 100_001, b'["' + b'\\"[' * 100_000, b'"' + b"[" * 100_000])
def test_texts_without_an_end_are_refused_at_once(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(Extra data|Unterminated string)"):
        loads(text)


def test_a_number_of_very_many_digits_is_refused_in_our_own_words() -> None:
    with pytest.raises(ValueError, match=r"^a number has too many digits$"):
        loads(b'{"a": ' + b"1" * 5000 + b"}")
