"""Finds Java 17, the one release on which both Spark 3.5 and SystemDS 3.4 run.

It needs only the standard library: the bootstrap uses it before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.errors import InstallationError
from digitstream.machine.java_text import utf8_locale

RELEASE = 17
_PATIENCE_SECONDS = 120.0  # of a busy machine; a launcher that says nothing by then never will
INSTALLERS = {
    "Debian": f"apt-get install -y openjdk-{RELEASE}-jdk-headless",
    "macOS": f"brew install openjdk@{RELEASE}",
    "Windows": f"winget install EclipseAdoptium.Temurin.{RELEASE}.JDK",
}
USUAL_PLACES = (
    f"/usr/lib/jvm/*{RELEASE}*",
    f"/opt/homebrew/opt/openjdk@{RELEASE}",
    f"/usr/local/opt/openjdk@{RELEASE}",
    f"/home/linuxbrew/.linuxbrew/opt/openjdk@{RELEASE}",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "C:/Program Files/Eclipse Adoptium/*",
)


class JavaMissing(InstallationError):
    """No Java of the release that Spark and SystemDS need."""


@dataclass(frozen=True)
class Java:
    """An installed Java of the right release."""

    home: Path

    @property
    def executable(self) -> Path:
        """The launcher."""
        return self.home / "bin" / "java"


def find(environ: Mapping[str, str], places: tuple[str, ...] = USUAL_PLACES) -> Java:
    """Java 17 from JAVA_HOME, else from PATH, else from the usual folders.

    Raises JavaMissing, with the command that installs it on each system.
    """
    others = []
    for launcher in _launchers(environ, places):
        release, home = _identify(launcher)
        if release == str(RELEASE):
            return Java(home)
        others.append(f"{launcher} is Java {release}" if release else f"{launcher} does not run")
    seen = "; ".join(others) or "none is in JAVA_HOME, on PATH or in the usual folders"
    remedies = ", ".join(f"{system}: `{command}`" for system, command in INSTALLERS.items())
    message = (
        f"Java {RELEASE} was not found ({seen}). Spark and SystemDS need exactly this release. "
        f"Install it ({remedies}) or point JAVA_HOME at it."
    )
    raise JavaMissing(message)


def _launchers(environ: Mapping[str, str], places: tuple[str, ...]) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"]) / "bin" / "java"
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path)
    for place in places:
        pattern = Path(place)
        root = Path(pattern.anchor)
        for home in sorted(root.glob(str(pattern.relative_to(root)))):
            if (home / "bin" / "java").exists():
                yield home / "bin" / "java"


def _identify(launcher: Path) -> tuple[str, Path]:
    """The release that a launcher reports ("" if it does not run), and its home."""
    command = [str(launcher), "-XshowSettings:properties", "-version"]
    try:
        properties = subprocess.run(
            command,
            env={**os.environ, **utf8_locale(os.environ)},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_PATIENCE_SECONDS,
            check=True,
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return "", launcher.parent.parent
    release = re.search(r"java\.specification\.version = (\S+)", properties)
    home = re.search(r"java\.home = (.+)", properties)
    if release is None or home is None:
        return "", launcher.parent.parent
    return release[1], Path(home[1].strip())
