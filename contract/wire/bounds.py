"""How much of a record any reader of ours takes into memory, whatever its sender claims.

A few bytes, compressed, may become a gigabyte or a hundred million headers. So each reader cuts a
record right after these bounds before it makes anything of it: whoever looks at the record then
sees that it is over them.
"""

from __future__ import annotations

from contract.wire.headers import Headers
from contract.wire.topics import ANSWER_BYTES

MOST_HEADERS = 1_000
"""Headers that a reading may have."""

CUT_HEADERS = MOST_HEADERS + 24
"""Headers that a reader takes: those of a reading and ours around them, as in its dead letter. Of a
record that has more it takes one more, and no other."""

CUT_BYTES = ANSWER_BYTES
"""Bytes that a reader takes of a value, and of key and headers together; of more, one more."""


def is_cut(key: bytes | None, value: bytes | None, headers: Headers) -> bool:
    """Whether a reader cut this record, so that it is not what its sender sent."""
    around = len(key or b"")
    around += sum(len(name.encode()) + len(content or b"") for name, content in headers)
    return len(headers) > CUT_HEADERS or around > CUT_BYTES or len(value or b"") > CUT_BYTES
