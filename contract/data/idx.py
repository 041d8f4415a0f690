"""IDX, the file format of MNIST: two zeros, a type, the dimensions, then the values."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract import files
from contract.errors import DataError
from contract.quantities import quantity

UNSIGNED_BYTE = 0x08

LARGEST = 1 << 32
"""Largest file, and largest array in it, in bytes."""


def read(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read the array of unsigned bytes in a file, gzipped if its name ends in .gz.

    Raises DataError unless the file is complete and has so many dimensions and at least one value.
    """
    try:
        content = io.BytesIO(files.read(file, LARGEST))
        stream = gzip.GzipFile(fileobj=content) if file.suffix == ".gz" else content
        return _array(file, stream, dimensions)
    except (OSError, EOFError, zlib.error) as exc:
        raise _corrupt(file, getattr(exc, "strerror", None) or str(exc)) from exc


def _array(file: Path, stream: gzip.GzipFile | io.BytesIO, dimensions: int) -> NDArray[np.uint8]:
    """The array in a stream; decompresses no more than its header announces."""
    header = stream.read(4 + 4 * dimensions)
    if header[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise _corrupt(
            file, f"it begins with {header[:4].hex(' ') or 'nothing'}, not 00 00 08 0{dimensions}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise _corrupt(file, "it ends within its header")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)
    values = stream.read(min(size, LARGEST) + 1)
    if len(values) != size:
        follow = "more" if len(values) > min(size, LARGEST) else len(values)
        raise _corrupt(
            file,
            f"its header announces {quantity(size, 'byte')} ({' x '.join(map(str, shape))}), "
            f"but {follow} follow",
        )
    if not size:
        raise _corrupt(file, "it is empty")
    return np.frombuffer(values, np.uint8).reshape(shape)


def write(file: Path, values: NDArray[np.uint8]) -> None:
    """Write an array as gzipped IDX; the same array always gives the same bytes."""
    header = struct.pack(f">4B{values.ndim}I", 0, 0, UNSIGNED_BYTE, values.ndim, *values.shape)
    file.write_bytes(gzip.compress(header + values.tobytes(), compresslevel=9, mtime=0))


def _corrupt(file: Path, fault: str) -> DataError:
    return DataError(
        f"{file} is corrupt: {fault}. It must be an IDX file of unsigned bytes, as MNIST's. "
        f"Download or copy it again."
    )
