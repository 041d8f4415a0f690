"""Kafka options for Spark's source and sink, without secrets that Spark may print."""

from __future__ import annotations

import os
import zlib
from functools import lru_cache
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from contract.kafka.connection import Kafka

_PROVIDER = {
    "config.providers": "file",
    "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
}

COMMITTED = {"kafka.isolation.level": "read_committed"}
"""Another option of Spark's source: read only committed records, never aborted ones."""


def options(spark: SparkSession, kafka: Kafka) -> dict[str, str]:
    """The options for `format("kafka")`.

    Plans, exceptions and Spark's UI print options. If Spark runs on this machine alone, secrets are
    therefore written to a file that only its owner may read, which is deleted with the session, and
    options refer to it. Remote executors cannot read that file: for them options hold the secrets,
    which Spark redacts except in unoptimized plans.
    """
    properties = kafka.properties
    secret = {name: value for name, value in properties.items() if name in Kafka.SECRET}
    if secret and str(spark.sparkContext.master).startswith("local"):
        file = _write_secrets(Path(SparkFiles.getRootDirectory()).parent, kafka)
        named = {name: f"${{file:{file.as_posix()}:{name}}}" for name in secret}
        properties = {**properties, **named, **_PROVIDER}
    return {f"kafka.{name}": value for name, value in properties.items()}


@lru_cache
def _write_secrets(folder: Path, kafka: Kafka) -> Path:
    """Write the secrets of a connection to a file in `folder`, once; returns the file."""
    file = folder / f"kafka-{zlib.crc32(repr(kafka).encode()):08x}.properties"
    properties = kafka.properties
    lines = [f"{name}={_escaped(properties[name])}\n" for name in Kafka.SECRET & properties.keys()]
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.writelines(lines)
    return file


def _escaped(text: str) -> str:
    """A value for a Java properties file: everything but plain ASCII as Unicode escapes."""
    units = memoryview(text.encode("utf-16-le")).cast("H")
    return "".join(
        chr(unit) if 0x20 < unit < 0x7F and unit != 0x5C else f"\\u{unit:04x}" for unit in units
    )
