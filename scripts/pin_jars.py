"""Rewrites digitstream/machine/jars.sha256 from jars that are downloaded now: read the difference.

`.venv/bin/python scripts/pin_jars.py`, after a version in `digitstream/machine/jars.py` changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contract import files
from digitstream.machine import jars, java

HEAD = "# SHA-256 of every jar that digitstream fetches; written by scripts/pin_jars.py\n"


def main() -> None:
    """Fetch each set into a folder of its own, and write down what came."""
    java_17, lines = java.find(os.environ), []
    for each in jars.SETS:
        with tempfile.TemporaryDirectory() as staging:
            arrived = jars.fetch(replace(each, pins=Path(os.devnull)), java_17, Path(staging))
            for jar in sorted(arrived.glob("*.jar")):
                lines.append(f"{files.sha256(jar, 1 << 30)}  {each.name}/{jar.name}\n")
    jars.PINS.write_text(HEAD + "".join(lines), "utf-8")
    sys.stdout.write(f"{len(lines)} jars are pinned in {jars.PINS}\n")


if __name__ == "__main__":
    main()
