"""What the commands need of this machine: Java 17, and the jars, fetched with progress."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from digitstream import terminal
from digitstream.machine import jars, java
from digitstream.machine.java_text import utf8_locale

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from contract.settings.programs import History
    from streaming.archive.place import Place


def java_17() -> java.Java:
    """Java 17, made this process' JAVA_HOME, where Spark looks for it, in a locale in which it
    finds files of any name; raises JavaMissing.
    """
    found = java.find(os.environ)
    os.environ["JAVA_HOME"] = str(found.home)
    os.environ.update(utf8_locale(os.environ))
    return found


def fetched(wanted: jars.Jars) -> list[Path]:
    """The paths of these jars; the first time they come over the network, and it shows."""
    with terminal.progress(f"Fetching the jars of {wanted.name}") as advance:
        return jars.ensure(wanted, java_17(), jars.cache(os.environ), advance)


def connector() -> list[Path]:
    """The paths of the jars with which Spark reads and writes Kafka, within bounds."""
    from digitstream.machine.bounded_client import bounded

    return bounded(fetched(jars.CONNECTOR), java_17(), jars.cache(os.environ))


@contextmanager
def tables(settings: History) -> Iterator[Place]:
    """The tables, on a Spark session that starts soon and ends with the body; raises NoTables, and
    TablesUnreadable for what Spark has against them in the body.

    Where the tables would be on this machine's disk and are not, no Spark is started.
    """
    from digitstream.machine.deadline import lasting
    from streaming.archive.failures import reached
    from streaming.archive.place import Place, check_local
    from streaming.archive.session import session

    check_local(settings.address)
    jars = delta()

    def start() -> SparkSession:
        return session(
            "digitstream-tables",
            settings.master,
            jars,
            settings.packages,
            settings.spark_secret_file,
            quick=True,
        )

    with lasting(start) as spark, reached(settings.address):
        yield Place(spark, settings.address)


def delta() -> list[Path]:
    """The paths of the jars with which Spark reads Kafka and Delta tables."""
    return [*connector(), *fetched(jars.DELTA)]
