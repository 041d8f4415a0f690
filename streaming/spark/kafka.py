"""A connection to Kafka as Spark's source and sink take it: no secret that Spark could show."""

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
"""What Spark's source takes besides: it reads only what is committed, never an aborted record."""


def options(spark: SparkSession, kafka: Kafka) -> dict[str, str]:
    """What `format("kafka")` takes.

    Plans, exceptions and Spark's page print options. So, where all of Spark is on this machine,
    secrets are put into a file that only its owner may read, which goes when Spark does, and
    options name it. Nothing else reaches executors elsewhere: there options hold the secrets, and
    Spark hides them but in a plan that was not optimized.
    """
    properties = kafka.properties
    secret = {name: value for name, value in properties.items() if name in Kafka.SECRET}
    if secret and str(spark.sparkContext.master).startswith("local"):
        file = _kept(Path(SparkFiles.getRootDirectory()).parent, kafka)
        named = {name: f"${{file:{file.as_posix()}:{name}}}" for name in secret}
        properties = {**properties, **named, **_PROVIDER}
    return {f"kafka.{name}": value for name, value in properties.items()}


@lru_cache
def _kept(folder: Path, kafka: Kafka) -> Path:
    """A file in `folder` that has the secrets of this connection."""
    file = folder / f"kafka-{zlib.crc32(repr(kafka).encode()):08x}.properties"
    properties = kafka.properties
    lines = [f"{name}={_escaped(properties[name])}\n" for name in Kafka.SECRET & properties.keys()]
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.writelines(lines)
    return file


def _escaped(text: str) -> str:
    """A value of Java's properties: everything but plain ASCII by the number of its code unit."""
    units = memoryview(text.encode("utf-16-le")).cast("H")
    return "".join(
        chr(unit) if 0x20 < unit < 0x7F and unit != 0x5C else f"\\u{unit:04x}" for unit in units
    )
