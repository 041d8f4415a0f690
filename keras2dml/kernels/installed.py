"""The kernels of a session: their jar, and the functions of a program that they run."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from py4j.java_gateway import JavaClass

from keras2dml.errors import InvalidSession
from keras2dml.kernels import build

SWITCH = "KERAS2DML_KERNELS"
"""The environment variable that turns kernels `off`; they are `on` by default."""

_REMEDY = "install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless)"


class Installed(NamedTuple):
    """The functions of a program that kernels run, and for each of the others why they do not."""

    functions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def lines(self, threads: int, *, single: bool) -> list[str]:
        """What a plan says of them."""
        how = f"in {'float32' if single else 'float64'} on {threads} threads"
        lines = [
            f"KERNELS run the function {name} {how}, where its matrices fit into the driver"
            for name in self.functions
        ]
        return [*lines, *(f"KERNELS do not run {reason}" for reason in self.missing)]


class Jar(NamedTuple):
    """The jar of kernels, or None, and why."""

    path: Path | None
    detail: str


@cache
def jar() -> Jar:
    """The jar of kernels. In a checkout it is built when it is first needed, which takes some
    seconds and a JDK; without it programs run in SystemDS' own operators.
    """
    if _is_off():
        return Jar(None, f"none: {SWITCH} is off")
    if not build.jar().exists() and build.javac() is None:
        return Jar(None, _slower(f"there is no javac; {_REMEDY}"))
    try:
        path = build.build()
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"it ended with {error.returncode}"])[0]
        return Jar(None, _slower(f"{build.javac()} says {reason!r}; {_REMEDY}"))
    except OSError as error:
        return Jar(None, _slower(f"{error}; let this user write to {build.jar().parent}"))
    return Jar(path, f"Java's Vector API, {path}")


def _slower(reason: str) -> str:
    return f"none, with which training takes several times as long: {reason}"


def _is_off() -> bool:
    """Whether kernels are turned off; raises InvalidSession for another word than on or off."""
    word = os.environ.get(SWITCH) or "on"
    if word not in ("on", "off"):
        message = f"The environment variable {SWITCH} is {word!r}: give on or off."
        raise InvalidSession(message)
    return word == "off"


def describe() -> str:
    """Which kernels a new session has, and why; builds nothing."""
    if not _is_off() and not build.jar().exists() and build.javac() is not None:
        return f"Java's Vector API, which the next session compiles with {build.javac()}"
    return jar().detail


def of(jvm: Any, name: str) -> Any:
    """A class of the jar; None in a session without it."""
    java = getattr(jvm.keras2dml.kernels, name)
    return java if isinstance(java, JavaClass) else None


def install(
    jvm: Any, program: Any, names: tuple[str, ...], threads: int, *, single: bool
) -> Installed:
    """Let kernels run functions of a program on some threads, in single or double precision."""
    kernels = of(jvm, "Kernels")
    if kernels is None:
        return Installed(missing=("anything: this session has none",))
    kernels.use(threads)
    listed = jvm.java.util.ArrayList()
    for name in names:
        listed.add(name)
    lines = kernels.install(program, listed, single).splitlines()
    return Installed(
        tuple(line for line in lines if ":" not in line),
        tuple(line for line in lines if ":" in line),
    )
