"""An image as a payload: raw bytes, a PNG or JSON pixels, and back."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from contract import reasons, strict_json
from contract.reasons import BadReading

RAW = "application/octet-stream"
PNG = "image/png"
JSON = "application/json"

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Channels -> what Pillow calls a PNG of so many."""

SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def raw_size(shape: Shape) -> int:
    """Bytes of a raw payload: exactly one a value, row-major in (H, W, C)."""
    return math.prod(shape)


def largest(shape: Shape) -> int:
    """Bytes that any payload may have: 16 a value, and never less than 64 KiB."""
    return max(1 << 16, 16 * raw_size(shape))


def encode(pixels: Pixels, content_type: str = RAW) -> bytes:
    """The payload of an image (H, W, C); raises KeyError for a content type we do not write."""
    return ENCODERS[content_type](np.ascontiguousarray(pixels))


def decode(payload: bytes | None, content_type: str, shape: Shape) -> Pixels:
    """The image (H, W, C) in a payload of a media type in lower case; raises BadReading only."""
    if not payload:
        raise BadReading(reasons.EMPTY, "the record has no value")
    if len(payload) > largest(shape):
        raise BadReading(reasons.OVERSIZED, f"{len(payload)} bytes; at most {largest(shape)}")
    if content_type not in DECODERS:
        raise BadReading(
            reasons.UNSUPPORTED_CONTENT_TYPE, f"{content_type}; known: {', '.join(DECODERS)}"
        )
    return DECODERS[content_type](payload, shape)


def _from_raw(payload: bytes, shape: Shape) -> Pixels:
    if len(payload) != raw_size(shape):
        raise BadReading(
            reasons.WRONG_SIZE, f"{len(payload)} bytes; {_size(shape)} has {raw_size(shape)}"
        )
    return np.frombuffer(payload, np.uint8).reshape(shape)


def _to_png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _from_png(payload: bytes, shape: Shape) -> Pixels:
    height, width, channels = shape
    if not payload.startswith(SIGNATURE):
        raise BadReading(reasons.NOT_AN_IMAGE, "no PNG signature")
    found = (int.from_bytes(payload[20:24]), int.from_bytes(payload[16:20]))
    if found != (height, width):
        raise BadReading(
            reasons.WRONG_SHAPE, f"a PNG of {found[0]} x {found[1]}; expected {_size(shape)}"
        )
    try:
        with Image.open(io.BytesIO(payload), formats=("PNG",)) as image:
            image.load()
            gray = image.convert("L") if image.mode == "1" else image
            mode, pixels = gray.mode, np.asarray(gray)
    except UnidentifiedImageError as exc:  # its message names an object in memory
        raise BadReading(reasons.NOT_AN_IMAGE, "the PNG is damaged: its header is none") from exc
    except Exception as exc:  # hostile bytes: Pillow answers with whatever its parsers raise
        raise BadReading(reasons.NOT_AN_IMAGE, f"the PNG is damaged: {exc}") from exc
    if mode != MODES.get(channels):
        raise BadReading(reasons.WRONG_SHAPE, f"a PNG of mode {mode}; expected {_size(shape)}")
    return pixels.reshape(shape)


def _to_json(pixels: Pixels) -> bytes:
    rows = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    return json.dumps({"pixels": rows.tolist()}, separators=(",", ":")).encode()


def _from_json(payload: bytes, shape: Shape) -> Pixels:
    try:
        body = strict_json.loads(payload)
    except ValueError as exc:
        raise BadReading(reasons.MALFORMED, f"no JSON: {exc}") from exc
    if not isinstance(body, dict) or "pixels" not in body:
        raise BadReading(reasons.MALFORMED, 'the JSON is not an object with "pixels"')
    height, width, channels = shape
    values = [body["pixels"]]
    for extent in (height, width) if channels == 1 else shape:
        values = [value for nested in values for value in _list(nested, extent, shape)]
    for value in values:
        if isinstance(value, list):
            raise BadReading(reasons.WRONG_SHAPE, f"pixels nest deeper than {_size(shape)}")
        if type(value) not in (int, float) or not 0 <= value <= 255 or value % 1:
            raise BadReading(reasons.OUT_OF_RANGE, f"pixel {value!r}; integers 0 to 255 only")
    return np.array(values, np.uint8).reshape(shape)


def _list(nested: object, extent: int, shape: Shape) -> list[object]:
    if not isinstance(nested, list) or len(nested) != extent:
        raise BadReading(reasons.WRONG_SHAPE, f"pixels are not {_size(shape)} in nested lists")
    return nested


def _size(shape: Shape) -> str:
    return " x ".join(str(extent) for extent in shape)


ENCODERS: dict[str, Callable[[Pixels], bytes]] = {
    RAW: lambda pixels: pixels.tobytes(),
    PNG: _to_png,
    JSON: _to_json,
}
DECODERS: dict[str, Callable[[bytes, Shape], Pixels]] = {
    RAW: _from_raw,
    PNG: _from_png,
    JSON: _from_json,
}
