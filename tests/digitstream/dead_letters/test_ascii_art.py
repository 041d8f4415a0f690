"""What a reading's bytes show to a person."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.wire import images, png
from digitstream.dead_letters.ascii_art import drawn, dumped

CORNER = np.zeros((4, 6, 1), np.uint8)
CORNER[0, 0] = 255
CORNER[3, 5] = 128
SEEN = "██          \n            \n            \n          ▒▒"


def colour(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(pixels, 3, axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


def event(**data: object) -> bytes:
    return json.dumps({"specversion": "1.0", "id": "1", **data}).encode()


@pytest.mark.parametrize(
    "value",
    [
        images.encode(CORNER, images.PNG),
        images.encode(CORNER, images.JSON),
        colour(CORNER),
        images.encode(np.repeat(CORNER, 2, axis=2), images.JSON),
        event(data={"pixels": CORNER[..., 0].tolist()}),
        event(data_base64=base64.b64encode(images.encode(CORNER, images.PNG)).decode()),
    ],
    ids=["png", "json", "colour", "channels", "event", "base64"],
)
def test_an_image_of_any_shape_is_drawn(value: bytes) -> None:
    assert drawn(value) == SEEN


def test_raw_bytes_are_drawn_if_they_are_a_square() -> None:
    assert drawn(CORNER[:, :4].tobytes()) == "██      \n        \n        \n        "
    assert drawn(bytes(28 * 28)) is not None
    assert drawn(bytes(28 * 28 - 1)) is None


def test_numbers_out_of_range_are_drawn_as_the_nearest() -> None:
    assert drawn(b'{"pixels": [[-7, 1e300], [300, 0]]}') == "  ██\n██  "


def test_a_large_image_is_drawn_smaller() -> None:
    found = drawn(images.encode(np.zeros((200, 300, 1), np.uint8), images.PNG))
    assert found is not None
    lines = found.splitlines()
    assert len(lines) == 40 and {len(line) for line in lines} == {120}


def bomb() -> bytes:
    """A PNG that says it is 100,000 x 100,000."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + head
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff",
        b"{",
        b'{"pixels": 7}',
        b'{"pixels": [[1], [1, 2]]}',
        b'{"pixels": [[[]]]}',
        b'{"pixels": [["x"]]}',
        event(),
        event(data=event(data={"pixels": [[1]]}).decode()),
        png.SIGNATURE,
        bomb(),
    ],
)
def test_what_shows_nothing_is_not_drawn(value: bytes | None) -> None:
    assert drawn(value) is None


@given(st.binary(max_size=200) | st.binary(max_size=99).map(lambda more: png.SIGNATURE + more))
def test_any_bytes_are_looked_at_in_peace(value: bytes) -> None:
    drawn(value)
    assert dumped(value).isprintable() or "\n" in dumped(value)
