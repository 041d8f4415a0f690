"""Reads untrusted files: regular files only, of limited size.

Opening a named pipe blocks until something writes to it, a device may never end, and a link may
point anywhere. Each function raises OSError, whose `strerror` says what is wrong; none blocks.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFBIG, EINVAL
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(file: Path, limit: int, *, follow_links: bool = True) -> bytes:
    """The content of a regular file of at most `limit` bytes."""
    with _open(file, limit, follow_links=follow_links) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:  # it grew, or its file system does not report sizes
        raise _too_large(file, limit)
    return content


def read_text(file: Path, limit: int) -> str:
    """The content as UTF-8 text; raises ValueError if it is not UTF-8."""
    return read(file, limit).decode("utf-8")


def sha256(file: Path, limit: int, *, follow_links: bool = False) -> str:
    """The SHA-256 of a regular file of at most `limit` bytes, in hexadecimal."""
    digest, size = hashlib.sha256(), 0
    with _open(file, limit, follow_links=follow_links) as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > limit:
                raise _too_large(file, limit)
            digest.update(block)
    return digest.hexdigest()


def check_regular(file: Path) -> None:
    """Raise OSError unless the path leads to a regular file."""
    _check_kind(file, os.stat(file))


def below(folder: Path, limit: int) -> dict[str, str]:
    """Everything below a folder except folders: its path -> "" if it is a regular file, else what
    it is, like "a symbolic link".

    Raises OSError if there are more than `limit` files and folders.
    """
    entries: dict[str, str] = {}
    pending, count = [folder], 0
    while pending:
        with os.scandir(pending.pop()) as scan:
            for entry in scan:
                count += 1
                if count > limit:
                    message = f"it contains more than {limit} files and folders"
                    raise OSError(EFBIG, message, str(folder))
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                    continue
                mode = entry.stat(follow_symlinks=False).st_mode
                entries[path.relative_to(folder).as_posix()] = _kind(mode)
    return entries


@contextmanager
def _open(file: Path, limit: int, *, follow_links: bool) -> Iterator[BinaryIO]:
    # Opening alone may disturb a device, so the kind is checked before and after.
    _check_kind(file, os.stat(file, follow_symlinks=follow_links))
    names = ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK", *(() if follow_links else ("O_NOFOLLOW",)))
    flags = os.O_RDONLY
    for name in names:
        flags |= getattr(os, name, 0)
    with os.fdopen(os.open(file, flags), "rb") as stream:
        status = os.fstat(stream.fileno())
        _check_kind(file, status)
        if status.st_size > limit:
            raise _too_large(file, limit)
        yield stream


def _check_kind(file: Path, status: os.stat_result) -> None:
    if kind := _kind(status.st_mode):
        message = f"it is {kind}, not a regular file"
        raise OSError(EINVAL, message, str(file))


def _kind(mode: int) -> str:
    """The kind of a file that is not regular, else an empty text."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def _too_large(file: Path, limit: int) -> OSError:
    return OSError(EFBIG, f"it is larger than {limit:,} bytes", str(file))
