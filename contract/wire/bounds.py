"""Limits on how much of a record our readers load into memory, whatever its sender claims.

A few compressed bytes may become a gigabyte or a hundred million headers. So each reader cuts a
record just past these limits before it does anything else with it; what comes next then sees that
the record exceeds them.
"""

from __future__ import annotations

from contract.wire.headers import Headers
from contract.wire.topics import ANSWER_BYTES

MOST_HEADERS = 1_000
"""Maximum number of headers of a reading."""

CUT_HEADERS = MOST_HEADERS + 24
"""Headers that a reader loads: a reading's and ours, as in its dead letter. Of a record with more,
it loads one more."""

CUT_BYTES = ANSWER_BYTES
"""Bytes that a reader loads of a value, and of key and headers together; of more, one more."""


def is_cut(key: bytes | None, value: bytes | None, headers: Headers) -> bool:
    """Whether a reader has cut this record, so that it is incomplete."""
    around = len(key or b"")
    around += sum(len(name.encode()) + len(content or b"") for name, content in headers)
    return len(headers) > CUT_HEADERS or around > CUT_BYTES or len(value or b"") > CUT_BYTES
