"""Shows a reading's bytes in a terminal: as an image, or else as a hex dump."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.quantities import quantity
from contract.wire import png, structured
from contract.wire.reasons import BadReading
from contract.wire.values import strict_json

WIDEST = 64
"""Most pixels in a drawn row, two characters each; a wider image is scaled down."""

MOST_PIXELS = 1 << 22
"""Most pixels of an image to decode: a small PNG can claim more than any memory holds."""

DUMPED = 512
"""Most bytes in a hex dump."""

SHADES = " ░▒▓█"

Gray = NDArray[np.float64]
"""An image of any height and width, 0 to 255."""


def drawn(value: bytes | None) -> str | None:
    """The image in a reading's value, of any shape, in block characters; None if there is none."""
    image = None if value is None else _image(value)
    if image is None or not image.size or image.size > MOST_PIXELS:
        return None
    step = math.ceil(max(image.shape[1] / WIDEST, image.shape[0] / WIDEST, 1))
    small = image[::step, ::step]
    shades = np.clip(small * len(SHADES) / 256, 0, len(SHADES) - 1).astype(int)
    return "\n".join("".join(2 * SHADES[shade] for shade in row) for row in shades.tolist())


def dumped(value: bytes) -> str:
    """The first bytes in hex and ASCII, 16 per line, and how many more there are."""
    lines = []
    for at in range(0, min(len(value), DUMPED), 16):
        part = value[at : min(at + 16, DUMPED)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):<47}  {text}")
    if len(value) > DUMPED:
        lines.append(f"... {quantity(len(value) - DUMPED, 'more byte')}")
    return "\n".join(lines)


def _image(value: bytes, within: bool = False) -> Gray | None:
    """The image in the bytes, or in the data of the event that they hold. It ignores headers, as
    those may be what is wrong with a letter.
    """
    if value.startswith(png.SIGNATURE):
        return _png(value)
    if value.lstrip()[:1] == b"{":
        try:
            body = strict_json.loads(value)
        except ValueError:
            return None
        if isinstance(body, dict) and "pixels" in body:
            return _pixels(body["pixels"])
        return None if within else _event(value)
    side = math.isqrt(len(value))
    if side >= 4 and side * side == len(value):
        return np.frombuffer(value, np.uint8).reshape(side, side).astype(np.float64)
    return None


def _event(value: bytes) -> Gray | None:
    try:
        _, data = structured.data_of(structured.event_of(value))
    except BadReading:
        return None
    return None if data is None else _image(data, within=True)


def _png(value: bytes) -> Gray | None:
    width, height = (int.from_bytes(value[at : at + 4]) for at in (16, 20))
    if width * height > MOST_PIXELS:
        return None
    try:
        with Image.open(io.BytesIO(value), formats=("PNG",)) as image:
            return np.asarray(image.convert("L"), np.float64)
    except Exception:  # hostile bytes: Pillow answers with whatever its parsers raise
        return None


def _pixels(rows: object) -> Gray | None:
    """Nested lists of numbers; channels become their mean."""
    try:
        image = np.array(rows, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if image.ndim == 3 and image.size:
        image = image.mean(axis=2)
    return np.nan_to_num(image) if image.ndim == 2 else None
