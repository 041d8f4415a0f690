"""Encodes images as payloads, raw bytes, PNG or JSON pixels, and decodes them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.quantities import quantity
from contract.wire import png, reasons, remedies
from contract.wire.reasons import BadReading
from contract.wire.values import strict_json

RAW = "application/octet-stream"
PNG = "image/png"
JSON = "application/json"

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]

FORMS = {1: "8-bit grey", 2: "8-bit grey with alpha", 3: "8-bit RGB", 4: "8-bit RGB with alpha"}
"""Number of channels -> the name of such images."""


def raw_size(shape: Shape) -> int:
    """Bytes of a raw payload: one per value, row-major in (H, W, C)."""
    return math.prod(shape)


def largest(shape: Shape) -> int:
    """Largest payload in bytes: 16 per value, but at least 64 KiB."""
    return max(1 << 16, 16 * raw_size(shape))


def encode(pixels: Pixels, content_type: str = RAW) -> bytes:
    """The payload of an image (H, W, C); raises KeyError for an unsupported content type."""
    return ENCODERS[content_type](np.ascontiguousarray(pixels))


def decode(payload: bytes | None, content_type: str, shape: Shape, *, grey: bool = False) -> Pixels:
    """The image (H, W, C) in a payload of a media type in lower case; raises BadReading only.

    With `grey`, a colour PNG becomes grey if the shape has one channel.
    """
    if not payload:
        raise BadReading(reasons.EMPTY, "the record has no value")
    if len(payload) > largest(shape):
        detail = f"{quantity(len(payload), 'byte')}; at most {largest(shape)}"
        raise BadReading(reasons.OVERSIZED, _with_remedy(detail, payload))
    check_supported(content_type, payload)
    if content_type == RAW:
        return _from_raw(payload, shape)
    return _from_png(payload, shape, grey) if content_type == PNG else _from_json(payload, shape)


def check_supported(content_type: str, payload: bytes | None) -> None:
    """Raise BadReading unless this media type is supported."""
    if content_type not in ENCODERS:
        detail = f"{content_type[:60]}; known: {', '.join(ENCODERS)}"
        remedy = remedies.content_type_remedy(content_type, payload)
        raise BadReading(
            reasons.UNSUPPORTED_CONTENT_TYPE, f"{detail}; {remedy}" if remedy else detail
        )


def _with_remedy(detail: str, payload: bytes) -> str:
    remedy = remedies.payload_remedy(payload)
    return f"{detail}; {remedy}" if remedy else detail


def _from_raw(payload: bytes, shape: Shape) -> Pixels:
    if len(payload) != raw_size(shape):
        detail = f"{quantity(len(payload), 'byte')}; {_size(shape)} has {raw_size(shape)}"
        channels, rest = divmod(len(payload), math.prod(shape[:2]))
        if not rest and channels in FORMS:
            raise BadReading(reasons.WRONG_SIZE, f"{detail}; {_other_channels(channels, shape[2])}")
        raise BadReading(reasons.WRONG_SIZE, _with_remedy(detail, payload))
    return np.frombuffer(payload, np.uint8).reshape(shape)


def _to_png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _from_png(payload: bytes, shape: Shape, grey: bool) -> Pixels:
    if not payload.startswith(png.SIGNATURE):
        raise BadReading(reasons.NOT_AN_IMAGE, _with_remedy("no PNG signature", payload))
    header, (height, width, channels) = png.header(payload), shape
    grey = grey and channels == 1 and header.colour in (png.RGB, png.PALETTE)
    fault = _bits_fault(header, channels) or (None if grey else _colour_fault(header, channels))
    if (header.height, header.width) != (height, width):
        also = "" if fault is None else f"; it has {fault}, too"
        detail = f"a PNG of {header.height} x {header.width}; expected {_size(shape)}{also}"
        raise BadReading(reasons.WRONG_SHAPE, detail)
    if fault is not None:
        raise BadReading(reasons.WRONG_SHAPE, f"a PNG of {fault}")
    return png.pixels(payload, header, grey=grey).reshape(shape)


def _bits_fault(header: png.Header, channels: int) -> str | None:
    return f"{header.bits} bits a pixel; send {FORMS[channels]}" if header.bits > 8 else None


def _colour_fault(header: png.Header, channels: int) -> str | None:
    """What is wrong with a PNG's channels, and what its sender can do."""
    if header.colour == png.PALETTE:
        return f"a palette; send {FORMS[channels]}"
    if header.channels == channels:
        return None
    if header.colour in (png.GREY_ALPHA, png.RGB_ALPHA):
        return f"{header.channels} channels with alpha; flatten it and send {FORMS[channels]}"
    return _other_channels(header.channels, channels)


def _other_channels(count: int, expected: int) -> str:
    remedy = "convert to grey" if expected == 1 else f"send {FORMS[expected]}"
    return f"{quantity(count, 'channel')}; {remedy}"


def _to_json(pixels: Pixels) -> bytes:
    rows = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    return json.dumps({"pixels": rows.tolist()}, separators=(",", ":")).encode()


def _from_json(payload: bytes, shape: Shape) -> Pixels:
    try:
        body = strict_json.loads(payload)
    except ValueError as exc:
        is_json = payload.lstrip()[:1] == b"{"  # but damaged
        remedy = None if is_json else remedies.serializer_remedy(payload)
        detail = f"no JSON: {exc}; {remedy}" if remedy else f"no JSON: {exc}"
        raise BadReading(reasons.MALFORMED, detail) from exc
    if not isinstance(body, dict) or "pixels" not in body:
        detail = 'the JSON is not an object with "pixels"; send {"pixels": [[0, ...], ...]}'
        raise BadReading(reasons.MALFORMED, detail)
    height, width, channels = shape
    values = [body["pixels"]]
    for extent in (height, width) if channels == 1 else shape:
        values = [value for nested in values for value in _list(nested, extent, shape)]
    if channels == 1 and all(isinstance(value, list) for value in values):
        values = [value for nested in values for value in _list(nested, 1, shape)]
    for value in values:
        if isinstance(value, list):
            raise BadReading(reasons.WRONG_SHAPE, f"pixels nest deeper than {_size(shape)}")
        if type(value) not in (int, float) or not 0 <= value <= 255 or value % 1:
            raise BadReading(
                reasons.OUT_OF_RANGE, f"pixel {json.dumps(value)}; integers 0 to 255 only"
            )
    return np.array(values, np.uint8).reshape(shape)


def _list(nested: object, extent: int, shape: Shape) -> list[object]:
    if isinstance(nested, list) and len(nested) == extent:
        return nested
    detail = f"pixels are not {_size(shape)} in nested lists"
    if isinstance(nested, str):
        detail += "; they are text: send rows of numbers, or the image as image/png"
    elif isinstance(nested, list) and len(nested) == raw_size(shape):
        detail += f"; they are one list: send {shape[0]} rows of {shape[1]}"
    elif extent == 1 and isinstance(nested, list) and len(nested) in FORMS:
        detail += f"; they have {_other_channels(len(nested), 1)}"
    raise BadReading(reasons.WRONG_SHAPE, detail)


def _size(shape: Shape) -> str:
    return " x ".join(str(extent) for extent in shape)


ENCODERS: dict[str, Callable[[Pixels], bytes]] = {
    RAW: lambda pixels: pixels.tobytes(),
    PNG: _to_png,
    JSON: _to_json,
}
