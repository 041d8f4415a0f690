"""What a session's JVM writes to stderr, without what it says at every start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

NOTE = b"WARNING: Using incubator modules: jdk.incubator.vector"
"""SystemDS needs this module, and Java 17 has no option that keeps it from saying so."""

_CHUNK_BYTES = 1 << 16


def launch(popen: Callable[..., Any], command: Any, **options: Any) -> Any:
    """The process that `popen` starts; what it writes to stderr goes where that of this process
    goes now, line by line as long as both live, but for the NOTE.
    """
    try:
        target = os.dup(2)
    except OSError:  # it is closed
        return popen(command, **options)
    source, theirs = os.pipe()
    try:
        process = popen(command, **{"stderr": theirs, **options})
    except BaseException:
        os.close(source)
        os.close(target)
        raise
    finally:
        os.close(theirs)
    threading.Thread(target=_forward, args=(source, target), name="stderr", daemon=True).start()
    return process


def _forward(source: int, target: int) -> None:
    begun = b""
    while chunk := os.read(source, _CHUNK_BYTES):
        *lines, begun = (begun + chunk).split(b"\n")
        _write(target, b"".join(line + b"\n" for line in lines if line.rstrip(b"\r") != NOTE))
    _write(target, begun)
    os.close(source)
    os.close(target)


def _write(target: int, text: bytes) -> None:
    with suppress(OSError):  # it is no longer read, but the JVM must not wait for that
        while text:
            text = text[os.write(target, text) :]
