"""IDX, the file format of MNIST: two zeros, a type, the dimensions, then the values."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.errors import DataError

UNSIGNED_BYTE = 0x08


def read(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in a file, gzipped if its name says so.

    Raises DataError unless the file is whole, has that many dimensions and at least one item.
    """
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as exc:
        raise _corrupt(file, str(exc)) from exc
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise _corrupt(
            file, f"it begins with {content[:4].hex(' ') or 'nothing'}, not 00 00 08 0{dimensions}"
        )
    if len(content) < start:
        raise _corrupt(file, "it ends within its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise _corrupt(
            file,
            f"its header promises {math.prod(shape)} bytes ({' x '.join(map(str, shape))}), "
            f"but {len(content) - start} follow",
        )
    if not math.prod(shape):
        raise _corrupt(file, "it is empty")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write(file: Path, values: NDArray[np.uint8]) -> None:
    """Write an array as gzipped IDX; the same array always gives the same bytes."""
    header = struct.pack(f">4B{values.ndim}I", 0, 0, UNSIGNED_BYTE, values.ndim, *values.shape)
    file.write_bytes(gzip.compress(header + values.tobytes(), compresslevel=9, mtime=0))


def _corrupt(file: Path, fault: str) -> DataError:
    return DataError(
        f"{file} is corrupt: {fault}. It must be an IDX file of unsigned bytes, as MNIST's. "
        f"Download or copy it again."
    )
