"""Captures what the JVM prints."""

from __future__ import annotations

import re
import sys
from typing import Any


class Quiet:
    """Captures what the JVM prints to a stream, removes SystemDS' standard lines, and prints the
    rest from Python, where a notebook shows it.

    MLContext prints a banner, ANTLR a note on its version, and every script its execution time,
    none of which can be turned off. Errors are exceptions.
    """

    NOISE = re.compile(
        r"^(Welcome to Apache SystemDS!|ANTLR (Tool|Runtime) version .*"
        r"|SystemDS Statistics:|Total execution time:.*"
        r"|Number of executed Spark inst:.*)?$"
    )

    def __init__(self, jvm: Any, name: str, *, everything: bool = False) -> None:
        self._everything = everything
        self._system = jvm.java.lang.System
        self._held = jvm.java.io.ByteArrayOutputStream()
        self._stream = jvm.java.io.PrintStream(self._held, True)
        self._name = name

    def __enter__(self) -> None:
        self._original = getattr(self._system, self._name)
        self._set(self._stream)

    def __exit__(self, *_: object) -> None:
        self._set(self._original)
        for line in self._held.toString().splitlines():
            if self._everything or not self.NOISE.match(line):
                getattr(sys, f"std{self._name}").write(f"{line}\n")

    def _set(self, stream: Any) -> None:
        (self._system.setOut if self._name == "out" else self._system.setErr)(stream)
