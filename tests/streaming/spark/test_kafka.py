"""What Spark gets of a connection: on this machine no secret, elsewhere what executors need."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from contract.kafka.connection import Kafka, Login, Secret, Security
from streaming.spark.kafka import options

ODD = 'pass"wo\\rd = :#! é\u20ac\U0001f511'
WAY = Kafka("a:1", Security("SASL_SSL", Login("SCRAM-SHA-512", "scorer", Secret(ODD))))


@pytest.mark.spark
def test_on_this_machine_secrets_are_in_a_file(spark: SparkSession) -> None:
    given = options(spark, WAY)
    assert "wo" not in given["kafka.sasl.jaas.config"]
    assert given["kafka.config.providers"] == "file"
    found = re.fullmatch(r"\$\{file:(.*):sasl\.jaas\.config\}", given["kafka.sasl.jaas.config"])
    assert found is not None
    file = Path(found[1])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    jvm: Any = spark._jvm
    read = jvm.java.util.Properties()
    read.load(jvm.java.io.FileInputStream(str(file)))
    assert read.getProperty("sasl.jaas.config") == WAY.properties["sasl.jaas.config"]


def test_remote_executors_get_the_secrets_as_options() -> None:
    elsewhere: Any = SimpleNamespace(sparkContext=SimpleNamespace(master="spark://host:7077"))
    given = options(elsewhere, WAY)
    assert given == {f"kafka.{name}": value for name, value in WAY.properties.items()}


def test_without_secrets_there_is_no_file() -> None:
    here: Any = SimpleNamespace(sparkContext=SimpleNamespace(master="local[2]"))
    assert options(here, Kafka("a:1")) == {"kafka.bootstrap.servers": "a:1"}
