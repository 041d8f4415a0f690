"""What senders often do otherwise than we take it, recognised, with what they can do about it.

A remedy is only ever words in a dead letter's reason: nothing is decoded by what is found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# First bytes of a value, where they begin, what it is then, and what to do.
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
_LOOKED_AT = 4096
"""Bytes of a value that are looked at."""

_BATCH = "application/cloudevents-batch"
_OTHER_EVENT = "application/cloudevents+"


def payload(value: bytes | None) -> str | None:
    """What a value looks like and what its sender can do, `it is a JPEG; convert it to a PNG`."""
    begin = (value or b"")[:_LOOKED_AT]
    bare = begin.lstrip(b' \t\r\n"')
    for at, signature, what, remedy in _SIGNATURES:
        if bare.startswith(signature, at):
            return f"it is {what}; {remedy}"
    if _CSV.fullmatch(begin):
        return 'it is CSV; send JSON, {"pixels": [[0, ...], ...]}'
    if _BASE64.fullmatch(begin):
        return "it looks like base64 text; send the bytes that it encodes"
    return None


def serialized(value: bytes | None) -> str | None:
    """What a value looks like that is no raw image: that of a dark picture may begin so, too."""
    schema = schema_of(value)
    if schema is None or payload(value) is not None:
        return payload(value)
    return f"it begins as a schema registry's serializer writes it (schema {schema})"


def content_type(name: str, value: bytes | None) -> str | None:
    """What the sender of a content type that we do not take can do."""
    if name.strip("\"'") != name:
        return "take its quotes away"
    if name.startswith(_BATCH):
        return "send each event as a record of its own, application/cloudevents+json"
    if name.startswith(_OTHER_EVENT):
        return "send application/cloudevents+json, or attributes as headers (ce_id)"
    if "avro" in name or "protobuf" in name:
        return "send raw bytes, a PNG or JSON, without a schema registry's serializer"
    return serialized(value)


def schema_of(value: bytes | None) -> int | None:
    """The schema's id that a schema registry's serializer writes first, after a zero; else None."""
    if value is None or len(value) <= 5 or value[0] != 0:
        return None
    schema = int.from_bytes(value[1:5])
    return schema if 0 < schema <= _LARGEST_SCHEMA else None


def is_event(value: bytes | None) -> bool:
    """Whether a value looks like a whole CloudEvent in JSON."""
    return _EVENT.match((value or b"")[:_LOOKED_AT]) is not None


def misspelled(names: Iterable[str], name: str) -> str | None:
    """The first of the headers' names that means this one, but for its case and punctuation."""
    wanted = _plain(name)
    return next((other for other in names if other != name and _plain(other) == wanted), None)


def _plain(name: str) -> str:
    """`CE-ID`, `ce_id` and `cloudEvents:id` alike."""
    plain = re.sub("[^a-z0-9]", "", name[:64].lower())
    return re.sub("^cloudevents", "ce", plain)
