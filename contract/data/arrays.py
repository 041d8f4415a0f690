"""Reads arrays from untrusted .npz files: no pickles, no decompression bombs.

A few bytes of a ZIP, or the header of an array in it, can claim terabytes. So an array is read only
if it has the expected form, and all arrays together fit a limit.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from contract.quantities import quantity

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

# The end of a ZIP without a comment: the signature, and the size of its central directory.
_END, _END_64, _CONTENTS_AT = b"PK\x05\x06", b"PK\x06\x07", 12
_CONTENTS_BYTES = 1 << 20


class Form(NamedTuple):
    """The expected type and shape of an array; None is any extent of at least 1."""

    dtype: DTypeLike
    shape: tuple[int | None, ...]


def read_npz(content: bytes, forms: Mapping[str, Form], limit: int) -> dict[str, NDArray[Any]]:
    """The arrays of these names, at most `limit` bytes in total; raises ValueError with what is
    wrong.
    """
    try:
        _check_end(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {name: archive.getinfo(f"{name}.npy") for name in forms}
            _check_entries(entries.values(), limit)
            return {
                name: _array(_content(archive, entry), name, forms[name])
                for name, entry in entries.items()
            }
    except (EOFError, KeyError, NotImplementedError, RuntimeError) as exc:
        raise ValueError(str(exc)) from exc
    except (zipfile.BadZipFile, zlib.error) as exc:
        message = f"it is not a valid .npz file ({exc})"
        raise ValueError(message) from exc


def _check_end(content: bytes) -> None:
    """Raise ValueError for a large central directory, or a comment, which numpy never writes."""
    end = content[-22:]
    size = int.from_bytes(end[_CONTENTS_AT : _CONTENTS_AT + 4], "little")
    if end[:4] != _END or content[-42:-38] == _END_64 or size > _CONTENTS_BYTES:
        message = "it does not end as a .npz file does"
        raise ValueError(message)


def _check_entries(entries: Iterable[zipfile.ZipInfo], limit: int) -> None:
    size = 0
    for entry in entries:
        size += entry.file_size
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            message = f"{entry.filename} uses a compression that numpy does not"
            raise ValueError(message)
    if size > limit:
        message = f"its arrays take {size:,} bytes, more than {limit:,}"
        raise ValueError(message)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        # Without a size it would read more than the entry claims to have.
        return stream.read(entry.file_size)


def _array(content: bytes, name: str, form: Form) -> NDArray[Any]:
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        message = f"{name} has version {version} of numpy's format"
        raise ValueError(message)
    shape, by_columns, dtype = _HEADERS[version](stream)
    fits = len(shape) == len(form.shape) and all(
        extent > 0 and expected in (None, extent)
        for extent, expected in zip(shape, form.shape, strict=True)
    )
    if dtype != np.dtype(form.dtype) or not fits:
        expected_shape = " x ".join("n" if extent is None else str(extent) for extent in form.shape)
        message = f"{name} is {dtype} {shape}, not {np.dtype(form.dtype)} of {expected_shape}"
        raise ValueError(message)
    at = stream.tell()
    if math.prod(shape) * dtype.itemsize != len(content) - at:
        message = (
            f"{name} has {quantity(len(content) - at, 'byte', form=',')}, and {shape} in its header"
        )
        raise ValueError(message)
    order: Any = "F" if by_columns else "C"
    return np.frombuffer(content, dtype, offset=at).reshape(shape, order=order)
