"""A PNG gives the pixels that its sender encoded, or none: no damage goes unnoticed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from contract.data import datasets
from contract.wire import images, png
from contract.wire.images import PNG
from contract.wire.reasons import BadReading

SHAPE = (28, 28, 1)


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def header(width: int, height: int, bits: int = 8, colour: int = 0, interlacing: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlacing))


def built(*chunks: bytes) -> bytes:
    return b"".join([png.SIGNATURE, *chunks, chunk(b"IEND", b"")])


def parts(payload: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk."""
    at = len(png.SIGNATURE)
    while at < len(payload):
        length, kind = struct.unpack_from(">I4s", payload, at)
        yield kind, payload[at + 8 : at + 8 + length]
        at += 12 + length


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return datasets.sample("test").images[:4]


def answer(payload: bytes) -> NDArray[np.uint8] | None:
    """The pixels; none of a payload that is refused."""
    try:
        return images.decode(payload, PNG, SHAPE)
    except BadReading:
        return None


def changes_pixels(payload: bytes, pixels: NDArray[np.uint8]) -> bool:
    found = answer(payload)
    return found is not None and not np.array_equal(found, pixels)


def test_no_flipped_bit_gives_other_pixels(digits: NDArray[np.uint8]) -> None:
    count = 0
    for pixels in digits:
        payload = images.encode(pixels, PNG)
        for bit in range(8 * len(payload)):
            flipped = bytearray(payload)
            flipped[bit // 8] ^= 1 << bit % 8
            assert answer(bytes(flipped)) is None, f"bit {bit}"
            count += 1
    assert count > 606


def test_no_flipped_bit_of_the_data_goes_unnoticed_with_a_new_checksum_of_its_chunk(
    digits: NDArray[np.uint8],
) -> None:
    for pixels in digits:
        chunks = list(parts(images.encode(pixels, PNG)))
        data = next(data for kind, data in chunks if kind == b"IDAT")
        for bit in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            payload = built(header(28, 28), chunk(b"IDAT", bytes(flipped)))
            assert not changes_pixels(payload, pixels), f"bit {bit}"


@given(data=st.data())
def test_no_mutation_gives_other_pixels(data: st.DataObject) -> None:
    noise = random.Random(data.draw(st.integers(0, 9)))
    pixels = np.frombuffer(noise.randbytes(784), np.uint8).reshape(SHAPE)
    payload = bytearray(images.encode(pixels, PNG))
    for _ in range(data.draw(st.integers(1, 3))):
        at, length = (data.draw(st.integers(0, len(payload))) for _ in range(2))
        payload[at : at + length % 40] = data.draw(st.binary(max_size=40))
    assert not changes_pixels(bytes(payload), pixels)


def test_every_part_cut_off_or_added_is_refused(digits: NDArray[np.uint8]) -> None:
    payload = images.encode(digits[0], PNG)
    assert all(answer(payload[:end]) is None for end in range(len(payload)))
    assert all(answer(payload + more) is None for more in (b"\0", payload, b"IEND"))


DATA = zlib.compress(bytes(6 * 9))
GRAY = header(8, 6)


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (built(GRAY, GRAY, chunk(b"IDAT", DATA)), "a part that it may not have"),
        (built(GRAY, header(3, 4), chunk(b"IDAT", DATA)), "a part that it may not have"),
        (built(GRAY, chunk(b"ABCD", b""), chunk(b"IDAT", DATA)), "a part that it may not have"),
        (built(GRAY, chunk(b"IDAT", DATA + b"\0")), "longer or shorter"),
        (built(GRAY, chunk(b"IDAT", zlib.compress(bytes(53)))), "longer or shorter"),
        (built(GRAY, chunk(b"IDAT", zlib.compress(bytes(55)))), "longer or shorter"),
        (built(GRAY, chunk(b"IDAT", zlib.compress(bytes(1 << 22)))), "longer or shorter"),
        (built(GRAY, chunk(b"IDAT", DATA[:-1])), "longer or shorter"),
        (built(GRAY, chunk(b"IDAT", DATA[:-1] + b"x")), "incorrect data check"),
        (built(GRAY), "longer or shorter"),
        (
            built(GRAY, chunk(b"IDAT", DATA[:4]), chunk(b"tEXt", b""), chunk(b"IDAT", DATA[4:])),
            "in two places",
        ),
        (built(GRAY, chunk(b"IDAT", DATA)) + b"x", "bytes follow its end"),
        (built(GRAY, chunk(b"IDAT", zlib.compress(b"\x09" * 54))), "does not decode"),
        (built(header(8, 6, bits=3), chunk(b"IDAT", DATA)), "its header is none"),
        (built(header(8, 6, colour=5), chunk(b"IDAT", DATA)), "its header is none"),
        (built(header(8, 6, interlacing=2), chunk(b"IDAT", DATA)), "its header is none"),
        (built(header(0, 6), chunk(b"IDAT", DATA)), "its header is none"),
        (png.SIGNATURE, "it ends within its header"),
        (built(chunk(b"IDAT", DATA)), "it does not begin with its header"),
        (built(chunk(b"IDAT", DATA), GRAY), "it does not begin with its header"),
    ],
)
def test_what_is_not_as_its_standard_has_it_is_refused(payload: bytes, fault: str) -> None:
    with pytest.raises(BadReading, match=fault) as error:
        images.decode(payload, PNG, (6, 8, 1))
    assert error.value.slug == "not-an-image"


def test_data_in_many_chunks_and_words_beside_it_are_a_png_as_well() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (6, 8, 1), np.uint8)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    pieces = [chunk(b"IDAT", data[at : at + 7]) for at in range(0, len(data), 7)]
    payload = built(GRAY, chunk(b"tEXt", b"Title\0x"), *pieces, chunk(b"tIME", bytes(7)))
    np.testing.assert_array_equal(images.decode(payload, PNG, (6, 8, 1)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 8), (28, 28), (9, 17)])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_interlaced_png_is_a_png(size: tuple[int, int], channels: int) -> None:
    height, width = size
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, channels), np.uint8)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    rows = [
        b"\0" + row.tobytes()
        for top, left, down, right in [*passes, (1, 0, 2, 1)]
        for row in pixels[top::down, left::right]
        if row.size
    ]
    colour = png.GREY if channels == 1 else png.RGB
    about = header(width, height, colour=colour, interlacing=1)
    payload = built(about, chunk(b"IDAT", zlib.compress(b"".join(rows))))
    np.testing.assert_array_equal(images.decode(payload, PNG, pixels.shape), pixels)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_fewer_bits_fills_the_range(bits: int) -> None:
    values = np.arange(8) % 2**bits
    row = np.unpackbits(values.astype(np.uint8)[:, np.newaxis], axis=1)[:, -bits:]
    data = (b"\0" + np.packbits(row.ravel()).tobytes()) * 6
    payload = built(header(8, 6, bits=bits), chunk(b"IDAT", zlib.compress(data)))
    wanted = values * 255 // (2**bits - 1)
    np.testing.assert_array_equal(images.decode(payload, PNG, (6, 8, 1))[0, :, 0], wanted)


def test_colours_become_grey_where_that_is_wanted() -> None:
    colours = np.random.default_rng(2).integers(0, 256, (6, 8, 3), np.uint8)
    image = Image.fromarray(colours)
    wanted = np.asarray(image.convert("L"))[..., np.newaxis]
    found = images.decode(encoded(image), PNG, (6, 8, 1), grey=True)
    np.testing.assert_array_equal(found, wanted)
    few = image.quantize(5)
    wanted = np.asarray(few.convert("L"))[..., np.newaxis]
    found = images.decode(encoded(few), PNG, (6, 8, 1), grey=True)
    np.testing.assert_array_equal(found, wanted)


def test_a_colour_that_a_palette_lacks_is_not_guessed() -> None:
    data = zlib.compress((b"\0" + bytes([3] * 8)) * 6)
    palette = chunk(b"PLTE", bytes(9))
    payload = built(header(8, 6, colour=png.PALETTE), palette, chunk(b"IDAT", data))
    with pytest.raises(BadReading, match="its palette lacks a colour"):
        images.decode(payload, PNG, (6, 8, 1), grey=True)
