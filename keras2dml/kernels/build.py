"""Builds the jar of kernels with the JDK's own compiler: `python -m keras2dml.kernels.build`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from keras2dml.kernels import cells, elementary, tiles

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "java"
_SINGLE, _DOUBLE = "float32", "float64"
_MODULE = "jdk.incubator.vector"
RELEASE = 17
"""The Java that Spark 3.5 and SystemDS 3.4 run on."""

# A session of other sources may still read its jar for so many seconds.
_UNUSED = 86400

TO_DOUBLE = (
    (re.compile(r"\bfloat32\b"), "float64"),
    (re.compile(r"\bfloat\b"), "double"),
    (re.compile(r"\bFloat\b"), "Double"),
    (re.compile(r"\bFloatVector\b"), "DoubleVector"),
    (re.compile(r"\bfloatValue\b"), "doubleValue"),
    (re.compile(r"\b(\d+)f\b"), r"\1d"),
)
"""What makes of a source in single precision the same in double precision."""


@lru_cache(maxsize=1)
def sources() -> dict[str, str]:
    """The Java files by path: those written, those generated, and both in double precision."""
    files = {
        path.relative_to(SOURCES).as_posix(): path.read_text("utf-8")
        for path in SOURCES.rglob("*.java")
    }
    home = f"keras2dml/kernels/{_SINGLE}"
    files[f"{home}/Cells.java"] = cells.cells()
    files[f"{home}/Tiles.java"] = tiles.tiles()
    files[f"{home}/Squares.java"] = tiles.squares()
    for path in [path for path in files if path.startswith(f"{home}/")]:
        text = files[path]
        for pattern, replacement in TO_DOUBLE:
            text = pattern.sub(replacement, text)
        files[path.replace(_SINGLE, _DOUBLE)] = text
    for precision in (_SINGLE, _DOUBLE):
        text = elementary.elementary(single=precision == _SINGLE)
        files[f"keras2dml/kernels/{precision}/Elementary.java"] = text
    return files


def jar() -> Path:
    """Where the jar of these sources is, whether or not it is built."""
    texts = "".join(f"{path}\n{text}\n" for path, text in sorted(sources().items()))
    digest = hashlib.sha256(texts.encode()).hexdigest()[:16]
    return FOLDER / "build" / f"keras2dml-kernels-{digest}.jar"


def build() -> Path:
    """The jar, compiled if it is not there yet.

    Raises OSError or subprocess.CalledProcessError, whose output says what javac complains about.
    """
    target = jar()
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        for path, text in sources().items():
            file = folder / "java" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        files = [str(path) for path in (folder / "java").rglob("*.java")]
        command = [javac() or "javac", "-nowarn", "-d", str(folder / "classes")]
        command += ["-cp", class_path(), "-source", str(RELEASE), "-target", str(RELEASE)]
        command += ["--add-modules", _MODULE]
        subprocess.run([*command, *files], check=True, capture_output=True, text=True)
        packed = folder / target.name
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for compiled in sorted((folder / "classes").rglob("*.class")):
                entry = compiled.relative_to(folder / "classes").as_posix()
                archive.writestr(zipfile.ZipInfo(entry), compiled.read_bytes())
        os.replace(packed, target)
    for old in target.parent.glob("keras2dml-kernels-*.jar"):
        if old != target and time.time() - old.stat().st_mtime > _UNUSED:
            old.unlink(missing_ok=True)
    return target


def javac() -> str | None:
    """The compiler of JAVA_HOME, or else that on the PATH, if there is one."""
    home = os.environ.get("JAVA_HOME")
    return (home and shutil.which("javac", path=str(Path(home, "bin")))) or shutil.which("javac")


def class_path() -> str:
    """The jars of Spark and SystemDS."""
    spark = Path(str(metadata.distribution("pyspark").locate_file("pyspark/jars/*")))
    systemds = Path(str(metadata.distribution("systemds").locate_file("systemds/SystemDS.jar")))
    return os.pathsep.join([str(systemds), str(spark)])


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{build()}\n")
    except subprocess.CalledProcessError as error:
        sys.exit(error.stderr)
