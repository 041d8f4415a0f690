"""What the commands need of this machine: Java 17, and the jars, fetched with progress."""

from __future__ import annotations

import os
from pathlib import Path

from digitstream import display, jars, java


def java_17() -> java.Java:
    """Java 17, made this process' JAVA_HOME, where Spark looks for it; raises JavaMissing."""
    found = java.find(os.environ)
    os.environ["JAVA_HOME"] = str(found.home)
    return found


def fetched(wanted: jars.Jars) -> list[Path]:
    """The paths of these jars; the first time they come over the network, and it shows."""
    with display.progress(f"Fetching the jars of {wanted.name}") as advance:
        return jars.ensure(wanted, java_17(), jars.cache(os.environ), advance)
