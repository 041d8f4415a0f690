"""Complaints about a session's JVM that did not start, or does not answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext

from keras2dml.errors import InvalidSession

JAVA = 17
"""The version of Java for which SystemDS 3.4 and Spark 3.5 are both built."""

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@contextmanager
def answering() -> Iterator[None]:
    """Raise InvalidSession if the JVM has ended, or ends in the body."""
    try:
        yield
    except (Py4JError, ConnectionError) as error:
        if isinstance(error, Py4JJavaError) or _is_alive():
            raise
        message = (
            "The JVM of this SparkSession no longer answers: it ended, or the system killed it for"
            " lack of memory. Restart Python; if the machine has too little memory, give the JVM"
            " less with spark_session(conf={'spark.driver.memory': '2g'})."
        )
        raise InvalidSession(message) from error


def _is_alive() -> bool:
    """Whether the JVM of this process answers."""
    gateway: Any = SparkContext._gateway
    try:
        return gateway is None or bool(gateway.jvm.java.lang.System.nanoTime())
    except (Py4JError, ConnectionError):
        return False


def start_complaint() -> str:
    """Why Spark's JVM did not start, judged by its Java: that of JAVA_HOME, or on the PATH."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if java is None:
        place = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        return f"Spark's JVM did not start: {place}. {_REMEDY}"
    version = _version(java)
    if version not in (None, JAVA):
        return f"Spark's JVM did not start: {java} is Java {version}. {_REMEDY}"
    return (
        f"Spark's JVM did not start with {java}. Its output says why: correct the option or setting"
        " that it names, for example in JAVA_TOOL_OPTIONS or spark.driver.memory."
    )


_REMEDY = (
    f"SystemDS 3.4 and Spark 3.5 need Java {JAVA}: install it, and set JAVA_HOME to its folder."
)


def _version(java: str) -> int | None:
    """The major version of a Java; None if unknown."""
    try:
        process = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = _VERSION.search(process.stderr)
    return int(version[1]) if version else None
