"""An image survives its payload; whatever else a payload is costs one named reason."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from contract.wire import images
from contract.wire import png as png_module
from contract.wire.images import JSON, PNG, RAW
from contract.wire.reasons import REASONS, BadReading

GRAY = (8, 6, 1)
COLOUR = (8, 6, 3)


def pixels(shape: tuple[int, int, int]) -> Any:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def refuses(payload: bytes | None, content_type: str, slug: str, shape: Any = GRAY) -> str:
    with pytest.raises(BadReading) as caught:
        images.decode(payload, content_type, shape)
    assert caught.value.slug == slug
    assert caught.value.stage == REASONS[slug]
    return caught.value.reason


@pytest.mark.parametrize("content_type", [RAW, PNG, JSON])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_image_comes_back_as_it_was_sent(content_type: str, channels: int) -> None:
    sent = pixels((8, 6, channels))
    payload = images.encode(sent, content_type)
    np.testing.assert_array_equal(images.decode(payload, content_type, sent.shape), sent)


def test_raw_bytes_are_row_major_in_height_width_channel() -> None:
    payload = bytes(range(2 * 3 * 2))
    assert images.decode(payload, RAW, (2, 3, 2))[1, 2, 0] == 10


@pytest.mark.parametrize("payload", [None, b""])
def test_nothing_is_empty_whatever_it_is_called(payload: bytes | None) -> None:
    assert refuses(payload, "text/html", "empty") == "empty: the record has no value"


def test_a_payload_is_bounded_before_it_is_read() -> None:
    limit = images.largest(GRAY)
    assert limit == 65536
    refuses(bytes(limit + 1), JSON, "oversized")
    assert "65536 bytes; 8 x 6 x 1 has 48" in refuses(bytes(limit), RAW, "wrong-size")
    assert images.largest((100, 100, 3)) == 16 * 30_000


def test_an_unknown_content_type_is_named_with_the_known_ones() -> None:
    reason = refuses(b"x", "text/h\xe9", "unsupported-content-type")
    assert reason.startswith("unsupported-content-type: text/h\\xe9; known: application/octet-")


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def bomb(width: int, height: int) -> bytes:
    """A PNG of a huge size, whose data would unpack to a thousand times its bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        png_module.SIGNATURE
        + header
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("payload", "slug"),
    [
        (png(Image.new("L", (8, 6))), "wrong-shape"),
        (png(Image.new("RGB", (6, 8))), "wrong-shape"),
        (png(Image.new("P", (6, 8))), "wrong-shape"),
        (png(Image.new("I;16", (6, 8))), "wrong-shape"),
        (bomb(50_000, 50_000), "wrong-shape"),
        (png(Image.new("L", (6, 8)))[:-25], "not-an-image"),
        (png(Image.new("L", (6, 8))).replace(b"IDAT", b"IDAX"), "not-an-image"),
        (b"GIF89a", "not-an-image"),
        (png_module.SIGNATURE, "not-an-image"),
        (png_module.SIGNATURE + struct.pack(">II", 6, 8), "not-an-image"),
    ],
)
def test_a_png_of_anything_else_is_refused(payload: bytes, slug: str) -> None:
    refuses(payload, PNG, slug)


def test_a_png_that_would_unpack_without_end_is_unpacked_no_further_than_its_size() -> None:
    assert "longer or shorter than its size" in refuses(bomb(6, 8), PNG, "not-an-image")


def test_a_png_of_one_bit_is_gray() -> None:
    image = Image.new("1", (6, 8), 1)
    assert images.decode(png(image), PNG, GRAY).tolist() == [[[255]] * 6] * 8


def body(rows: object) -> bytes:
    return json.dumps({"pixels": rows}).encode()


ROWS: list[list[object]] = [[0] * 6 for _ in range(8)]


def with_first(value: object) -> bytes:
    return body([[value, *ROWS[0][1:]], *ROWS[1:]])


@pytest.mark.parametrize(
    ("payload", "slug"),
    [
        (b"{", "malformed"),
        (b"\xff", "malformed"),
        (json.dumps({"pixels": []}).encode("utf-16"), "malformed"),
        (b"[" * 60_000, "malformed"),
        (b'{"pixels": [' * 5_000, "malformed"),
        (b'{"pixels": ' + b"9" * 5_000 + b"}", "malformed"),
        (b'{"pixels": NaN}', "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b'{"pixel": []}', "malformed"),
        (body(None), "wrong-shape"),
        (body("0" * 8), "wrong-shape"),
        (body({"0": 1}), "wrong-shape"),
        (body(ROWS[:-1]), "wrong-shape"),
        (body([*ROWS[:-1], ROWS[0][:-1]]), "wrong-shape"),
        (body([*ROWS[:-1], "000000"]), "wrong-shape"),
        (with_first([0]), "wrong-shape"),
        (with_first([0, 0]), "wrong-shape"),
        (body([[[0, 0]] * 6] * 8), "wrong-shape"),
        (body([[[[0]]] * 6] * 8), "wrong-shape"),
        (body([[[]] * 6] * 8), "wrong-shape"),
        (with_first(256), "out-of-range"),
        (with_first(-1), "out-of-range"),
        (with_first(1.5), "out-of-range"),
        (with_first(True), "out-of-range"),
        (with_first(None), "out-of-range"),
        (with_first("0"), "out-of-range"),
        (with_first({}), "out-of-range"),
        (with_first(10**400), "out-of-range"),
        (with_first(0).replace(b"0", b"1e999", 1), "out-of-range"),
    ],
)
def test_json_of_anything_but_pixels_is_refused(payload: bytes, slug: str) -> None:
    refuses(payload, JSON, slug)


def test_one_channel_may_be_a_list_of_its_own() -> None:
    sent = pixels(GRAY)
    np.testing.assert_array_equal(images.decode(body(sent.tolist()), JSON, GRAY), sent)
    refuses(body(sent.tolist()), JSON, "wrong-shape", (8, 6, 3))


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert images.decode(with_first(5.0), JSON, GRAY)[0, 0, 0] == 5


@given(payload=st.binary(max_size=200), content_type=st.sampled_from([RAW, PNG, JSON, "", "x"]))
@example(payload=b"", content_type=PNG)
def test_any_bytes_are_an_image_or_a_bad_reading(payload: bytes, content_type: str) -> None:
    answers(payload, content_type, GRAY)


@given(data=st.data())
def test_any_damage_to_a_png_is_an_image_or_a_bad_reading(data: st.DataObject) -> None:
    payload = bytearray(images.encode(pixels(COLOUR), PNG))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    answers(bytes(payload), PNG, COLOUR)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


@given(value=JSON_VALUES)
def test_any_json_is_an_image_or_a_bad_reading(value: object) -> None:
    answers(body(value), JSON, (2, 2, 1))
    answers(body([[value, 0], [0, 0]]), JSON, (2, 2, 1))


def answers(payload: bytes, content_type: str, shape: Any) -> None:
    try:
        decoded = images.decode(payload, content_type, shape)
    except BadReading as exc:
        assert exc.reason.isascii() and exc.reason.isprintable() and len(exc.reason) < 240
    else:
        assert decoded.shape == shape and decoded.dtype == np.uint8
