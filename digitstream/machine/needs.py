"""What commands need on this machine: Java 17, and jars, fetched with progress."""

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


def find_java() -> java.Java:
    """Find Java 17, and set JAVA_HOME for Spark and a locale in which Java reads any file name.

    Raises JavaMissing.
    """
    installed = java.find(os.environ)
    os.environ["JAVA_HOME"] = str(installed.home)
    os.environ.update(utf8_locale(os.environ))
    return installed


def fetch(jar_set: jars.Jars) -> list[Path]:
    """The paths of these jars, downloaded the first time, with progress."""
    with terminal.progress(f"Fetching the jars of {jar_set.name}") as advance:
        return jars.ensure(jar_set, find_java(), jars.cache(os.environ), advance)


def fetch_connector() -> list[Path]:
    """The paths of the jars with which Spark reads and writes Kafka, the client with bounds."""
    from digitstream.machine.bounded_client import ensure_bounded

    return ensure_bounded(fetch(jars.CONNECTOR), find_java(), jars.cache(os.environ))


@contextmanager
def open_tables(settings: History) -> Iterator[Place]:
    """The tables, on a Spark session that ends with the body.

    Raises NoTables, and TablesUnreadable for Spark's errors on the tables in the body. Starts no
    Spark if the tables should be on this machine's disk and are missing.
    """
    from digitstream.machine.deadline import open_session
    from streaming.archive.failures import reached
    from streaming.archive.place import Place, check_local
    from streaming.archive.session import session

    check_local(settings.address)
    jars = fetch_delta()

    def start() -> SparkSession:
        return session(
            "digitstream-tables",
            settings.master,
            jars,
            settings.packages,
            settings.spark_secret_file,
            quick=True,
        )

    with open_session(start) as spark, reached(settings.address):
        yield Place(spark, settings.address)


def fetch_delta() -> list[Path]:
    """The paths of the jars with which Spark reads Kafka and Delta tables."""
    return [*fetch_connector(), *fetch(jars.DELTA)]
