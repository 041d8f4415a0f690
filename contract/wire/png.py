"""Decodes untrusted PNGs: checks every checksum, and decodes only the pixels."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.quantities import quantity
from contract.wire import reasons
from contract.wire.reasons import BadReading

SIGNATURE = b"\x89PNG\r\n\x1a\n"

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""A PNG's colour types."""

CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
"""Colour type -> values per pixel in the file."""

_BITS = (1, 2, 4, 8, 16)

_HEADER = struct.Struct(">IIBBBBB")
_CHUNK = struct.Struct(">I4s")
_CRC = 4
_OVERHEAD = _CHUNK.size + _CRC
"""Bytes of a chunk besides its data: length, kind, checksum."""

_ANCILLARY = 0x20
"""The bit in the first byte of a chunk's kind for chunks that do not affect pixels."""

_MODES = {
    (1, GREY): ("1", "1"),
    (2, GREY): ("L", "L;2"),
    (4, GREY): ("L", "L;4"),
    (8, GREY): ("L", "L"),
    (8, RGB): ("RGB", "RGB"),
    (1, PALETTE): ("P", "P;1"),
    (2, PALETTE): ("P", "P;2"),
    (4, PALETTE): ("P", "P;4"),
    (8, PALETTE): ("P", "P"),
    (8, GREY_ALPHA): ("LA", "LA"),
    (8, RGB_ALPHA): ("RGBA", "RGBA"),
}
"""Bits per value and colour type -> Pillow's mode and raw mode."""

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
_INTERLACED = (*_PASSES, (0, 1, 1, 2))
_STRAIGHT = ((0, 0, 1, 1),)
"""First column and row of each pass, and the steps between columns and rows."""


class Header(NamedTuple):
    """A PNG's header: width, height, bits per value, colour type, and encoding."""

    width: int
    height: int
    bits: int
    colour: int
    compression: int
    filtering: int
    interlacing: int

    @property
    def channels(self) -> int:
        """Values per pixel in the file."""
        return CHANNELS[self.colour]

    @property
    def data_bytes(self) -> int:
        """Size of the decompressed image data: in each row a byte for the filter, then the
        values.
        """
        total = 0
        for left, top, right, down in _INTERLACED if self.interlacing else _STRAIGHT:
            columns, rows = -((left - self.width) // right), -((top - self.height) // down)
            if columns > 0:
                total += rows * (1 + (columns * self.channels * self.bits + 7) // 8)
        return total


def header(png: bytes) -> Header:
    """The header of a PNG; raises BadReading if it is not a PNG."""
    if not png.startswith(SIGNATURE):
        raise BadReading(reasons.NOT_AN_IMAGE, "no PNG signature")
    if len(png) < len(SIGNATURE) + _OVERHEAD + _HEADER.size:
        _refuse("it ends within its header")
    length, kind = _CHUNK.unpack_from(png, len(SIGNATURE))
    if (length, kind) != (_HEADER.size, b"IHDR"):
        _refuse("it does not begin with its header")
    _, begin, _ = _chunk(png, len(SIGNATURE))
    header = Header(*_HEADER.unpack_from(png, begin))
    is_known = header.colour in CHANNELS and header.bits in _BITS
    is_known &= header.compression == header.filtering == 0 and header.interlacing <= 1
    if not (is_known and header.width and header.height):
        _refuse("its header is none")
    return header


def pixels(png: bytes, header: Header, *, grey: bool = False) -> NDArray[np.uint8]:
    """The pixels of a PNG with that header, uint8 (H, W) or (H, W, C). Grey values of fewer bits
    are stretched to 8 bits, those of a palette are its indexes. With `grey` colours become grey
    (ITU-R 601).

    Raises BadReading if anything in the PNG is damaged.
    """
    if (header.bits, header.colour) not in _MODES:
        _refuse(f"it has {quantity(header.bits, 'bit')} a value and colour type {header.colour}")
    data: list[bytes] = []
    palette = b""
    kind, at = b"IHDR", len(SIGNATURE) + _OVERHEAD + _HEADER.size
    while kind != b"IEND":
        before = kind
        kind, begin, end = _chunk(png, at)
        at = end + _CRC
        if kind == b"IDAT":
            if data and before != kind:
                _refuse("its image data is in two places")
            data.append(png[begin:end])
        elif kind == b"PLTE":
            palette = png[begin:end]
        elif kind == b"tRNS" and grey:
            detail = "a PNG of transparent colours; flatten it and send 8-bit grey"
            raise BadReading(reasons.WRONG_SHAPE, detail)
        elif kind != b"IEND" and not kind[0] & _ANCILLARY:
            _refuse("it has a part that it may not have")
    if at != len(png):
        _refuse("bytes follow its end")
    image_data = b"".join(data)
    _check_data(image_data, header.data_bytes)
    return _decoded(image_data, header, palette, grey)


def _chunk(png: bytes, at: int) -> tuple[bytes, int, int]:
    """The kind of the chunk at an offset, and the start and end of its data; checks its
    checksum.
    """
    if len(png) < at + _OVERHEAD:
        _refuse("it ends too early")
    length, kind = _CHUNK.unpack_from(png, at)
    begin = at + _CHUNK.size
    end: int = begin + length
    if len(png) < end + _CRC:
        _refuse("it ends too early")
    if zlib.crc32(png[at + 4 : end]) != int.from_bytes(png[end : end + _CRC]):
        _refuse("a checksum (CRC) is wrong")
    return kind, begin, end


def _check_data(data: bytes, size: int) -> None:
    """Raise BadReading unless image data decompresses to so many bytes with a valid checksum."""
    decompressor = zlib.decompressobj()
    try:
        length = len(decompressor.decompress(data, size + 1))
    except zlib.error as exc:
        _refuse(f"its image data does not unpack ({exc})")
    if length != size or not decompressor.eof or decompressor.unused_data:
        _refuse("its image data is longer or shorter than its size")


def _decoded(data: bytes, header: Header, palette: bytes, grey: bool) -> NDArray[np.uint8]:
    """The pixels of checked image data, by Pillow's decoder."""
    mode, raw_mode = _MODES[header.bits, header.colour]
    size = header.width, header.height
    try:
        image = Image.frombytes(mode, size, data, "zip", raw_mode, header.interlacing)
        if mode == "P" and grey:
            if len(palette) < 3 * (1 + int(np.asarray(image).max())):
                _refuse("its palette lacks a colour")
            image.putpalette(palette)
        return np.asarray(image.convert("L") if grey or mode == "1" else image)
    except BadReading:
        raise
    except Exception as exc:  # for hostile bytes Pillow raises all kinds of errors
        raise BadReading(reasons.NOT_AN_IMAGE, "the PNG is damaged: it does not decode") from exc


def _refuse(fault: str) -> NoReturn:
    raise BadReading(reasons.NOT_AN_IMAGE, f"the PNG is damaged: {fault}")
