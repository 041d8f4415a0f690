"""Java as tests want it: most of their JVMs end before code that is compiled twice pays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_OPTIONS = "JAVA_TOOL_OPTIONS"

QUICK = {
    _OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    " -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
}
"""The environment of a JVM that compiles each method once, collects garbage in one thread, and
loads classes without looking for mistakes of their compiler: a third less work in a test. It
computes the same numbers, long loops over them in ten times the time, and says on stderr that it
has these options.
"""


@contextmanager
def quick_java() -> Iterator[None]:
    """Every JVM that is started within has these options."""
    before = os.environ.get(_OPTIONS)
    os.environ.update(QUICK)
    try:
        yield
    finally:
        del os.environ[_OPTIONS]
        if before is not None:
            os.environ[_OPTIONS] = before
