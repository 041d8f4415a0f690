"""Recognises common mistakes of senders, and says what they can do about them.

A remedy is only text in a dead letter's reason; it never changes how a reading is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Offset and first bytes of a value, what it is, and what to do.
_PICTURE = "convert it to a PNG"
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89PNG", "a PNG", "its content-type is image/png"),
    (0, b"\xff\xd8\xff", "a JPEG", _PICTURE),
    (8, b"WEBP", "a WebP image", _PICTURE),
    (4, b"ftyphei", "a HEIC image", _PICTURE),
    (4, b"ftyphev", "a HEIC image", _PICTURE),
    (4, b"ftypmif", "a HEIC image", _PICTURE),
    (4, b"ftypavif", "an AVIF image", _PICTURE),
    (0, b"GIF8", "a GIF", _PICTURE),
    (0, b"BM", "a BMP image", _PICTURE),
    (0, b"II*\0", "a TIFF image", _PICTURE),
    (0, b"MM\0*", "a TIFF image", _PICTURE),
    (0, b"iVBORw0KGgo", "base64 text of a PNG", "send the bytes that it encodes"),
    (0, b"/9j/", "base64 text of a JPEG", "send the bytes of a PNG"),
    (0, b"data:", "a data: URL", "send the bytes that it encodes"),
    (0, b"\x1f\x8b", "compressed with gzip", "send it as it was; Kafka compresses by itself"),
    (0, b"\x93NUMPY", "a file of numpy's", "send the bytes of its array"),
    (0, b"<", "XML or HTML", "send raw bytes, a PNG or JSON"),
    (0, b"{", "JSON", "its content-type is application/json"),
)

_CSV = re.compile(rb"\s*\d[\d\s.,;]*[,;\s][\d\s.,;]*")
_EVENT = re.compile(rb'\s*\{[^\0]*"specversion"')
_BASE64 = re.compile(rb"[A-Za-z0-9+/\r\n]{60,}={0,2}\s*")
_LARGEST_SCHEMA = 1_000_000
_INSPECTED = 4096
"""Bytes of a value that are inspected."""

_BATCH = "application/cloudevents-batch"
_OTHER_EVENT = "application/cloudevents+"


def payload_remedy(value: bytes | None) -> str | None:
    """What a value seems to be, and the remedy, like `it is a JPEG; convert it to a PNG`."""
    begin = (value or b"")[:_INSPECTED]
    bare = begin.lstrip(b' \t\r\n"')
    for at, signature, kind, remedy in _SIGNATURES:
        if bare.startswith(signature, at):
            return f"it is {kind}; {remedy}"
    if _CSV.fullmatch(begin):
        return 'it is CSV; send JSON, {"pixels": [[0, ...], ...]}'
    if _BASE64.fullmatch(begin):
        return "it looks like base64 text; send the bytes that it encodes"
    return None


def serializer_remedy(value: bytes | None) -> str | None:
    """What a value that is not a raw image seems to be, including a serializer's output, which a
    dark raw image may look like.
    """
    schema = schema_of(value)
    if schema is None or payload_remedy(value) is not None:
        return payload_remedy(value)
    return f"it begins as a schema registry's serializer writes it (schema {schema})"


def content_type_remedy(name: str, value: bytes | None) -> str | None:
    """The remedy for an unsupported content type."""
    if name.strip("\"'") != name:
        return "take its quotes away"
    if name.startswith(_BATCH):
        return "send each event as a record of its own, application/cloudevents+json"
    if name.startswith(_OTHER_EVENT):
        return "send application/cloudevents+json, or attributes as headers (ce_id)"
    if "avro" in name or "protobuf" in name:
        return "send raw bytes, a PNG or JSON, without a schema registry's serializer"
    return serializer_remedy(value)


def schema_of(value: bytes | None) -> int | None:
    """The schema id that a schema registry's serializer writes after a zero byte; else None."""
    if value is None or len(value) <= 5 or value[0] != 0:
        return None
    schema = int.from_bytes(value[1:5])
    return schema if 0 < schema <= _LARGEST_SCHEMA else None


def is_event(value: bytes | None) -> bool:
    """Whether a value looks like a complete CloudEvent in JSON."""
    return _EVENT.match((value or b"")[:_INSPECTED]) is not None


def misspelled(names: Iterable[str], name: str) -> str | None:
    """The first of the header names that differs from this one only in case and punctuation."""
    plain = _plain(name)
    return next((other for other in names if other != name and _plain(other) == plain), None)


def _plain(name: str) -> str:
    """The name without case and punctuation: `CE-ID`, `ce_id` and `cloudEvents:id` are the same."""
    plain = re.sub("[^a-z0-9]", "", name[:64].lower())
    return re.sub("^cloudevents", "ce", plain)
