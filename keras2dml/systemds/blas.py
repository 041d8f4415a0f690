"""OpenBLAS for SystemDS' matrix products and convolutions, if the machine has it.

SystemDS computes in Java, in float64, by default. For float32 models it may use OpenBLAS in single
precision, as Keras does. Java is as fast for float64, so OpenBLAS is not used there; MKL is not
used because it crashed the JVM.
"""

from __future__ import annotations

import atexit
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from keras2dml.systemds.session import systemds_jar

BRIDGE = "lib/libsystemds_openblas-Linux-x86_64.so"
REMEDY = "apt-get install libopenblas0-pthread libgomp1"
LIBRARY, FOLDER = "sysds.native.blas", "sysds.native.blas.directory"
PRECISION = "sysds.floating.point.precision"
# X %*% t(X) and t(X) %*% X have a special operator, of whose result SystemDS with OpenBLAS leaves
# half unset. A product of a gradient and a non-gradient, one of them transposed, never becomes one.
_TRANSPOSED = re.compile(r"\bt\(")
_GRADIENT = r"d(?:out|[A-Z]\w*)"
_VALUE = rf"(?!{_GRADIENT}\b)\w+"
_OF_GRADIENT = re.compile(
    "|".join(
        rf"\b{left} %\*% t\({right}\)|\bt\({left}\) %\*% {right}\b"
        for left, right in ((_GRADIENT, _VALUE), (_VALUE, _GRADIENT))
    )
)
# Test that must pass before OpenBLAS is used: Debian's version can be older than the processor, and
# compute wrong results on it.
_TRIED = """
import ctypes, sys
import numpy as np

bridge, blas = map(ctypes.CDLL, sys.argv[1:])
single, plain, rows = ctypes.c_float, 111, 101
for m, k, n in ((5, 7, 3), (32, 25, 784), (64, 800, 196), (100, 3136, 512)):
    left, right = (np.random.default_rng(m).random(shape, np.float32) for shape in ((m, k), (k, n)))
    out = np.zeros((m, n), np.float32)
    a, b, c = (each.ctypes.data_as(ctypes.POINTER(single)) for each in (left, right, out))
    blas.cblas_sgemm(rows, plain, plain, m, n, k, single(1), a, k, b, n, single(0), c, n)
    if not np.allclose(out, left.astype(float) @ right, rtol=1e-4):
        sys.exit(f"its product of {m} x {k} by {k} x {n} is wrong on this processor")
"""


@dataclass(frozen=True)
class Blas:
    """The usable OpenBLAS: a `folder` with a `libopenblas.so` that loads, or None."""

    folder: Path | None
    detail: str

    def use(self, jvm: Any, *, used: bool) -> None:
        """Turn OpenBLAS on or off in the JVM."""
        if self.folder is None:
            return
        kind, precision = ("openblas", "single") if used else ("none", "double")
        sysds = jvm.org.apache.sysds
        sysds.conf.ConfigurationManager.getDMLConfig().setTextValue(PRECISION, precision)
        sysds.utils.NativeHelper.initialize(str(self.folder), kind)


def is_suited(script: str) -> bool:
    """Whether a script may run with OpenBLAS: it transposes only for products of gradients.

    SystemDS' plan would not show this, since SystemDS plans again while a script runs.
    """
    return len(_TRANSPOSED.findall(script)) == len(_OF_GRADIENT.findall(script))


@cache
def detect() -> Blas:
    """Find the library that SystemDS can use here. It is tested once, in a separate process, so
    that a crash does not end the JVM.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return Blas(None, "none: SystemDS has one only for Linux on x86_64; this only costs speed")
    name = find_library("openblas")
    if name is None or find_library("gomp") is None:
        return Blas(None, f"none, which only costs speed: {REMEDY}")
    folder = Path(tempfile.mkdtemp(prefix="keras2dml-blas-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(systemds_jar()) as jar:
        bridge = Path(jar.extract(BRIDGE, folder))
    tried = subprocess.run(
        [sys.executable, "-c", _TRIED, str(bridge), name],
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
    )
    path = _path(name)
    if tried.returncode or path is None:
        reason = (
            tried.stderr.strip().rpartition("\n")[2] or f"its trial ended with {tried.returncode}"
        )
        return Blas(None, f"none, which only costs speed: {name} is unusable ({reason}); {REMEDY}")
    for alias in (
        "libopenblas.so",
        "liblibopenblas.so",
    ):  # SystemDS first looks for the second name
        (folder / alias).symlink_to(path)
    return Blas(folder, f"OpenBLAS, {path}, for models of float32")


def _path(name: str) -> Path | None:
    """The path where the loader finds a library."""
    listed = subprocess.run(
        ["ldconfig", "-p"], capture_output=True, text=True, errors="surrogateescape", check=False
    )
    places = (line.split(" => ")[1] for line in listed.stdout.splitlines() if name in line)
    return next((Path(place) for place in places if Path(place).exists()), None)
