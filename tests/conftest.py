"""What tests share: a real broker, fresh topics on it, a real Spark; made when first used."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contract.topics import Topics, ensure
from digitstream import broker, jars, java
from streaming.session import session


@pytest.fixture(scope="session")
def java_17() -> java.Java:
    found = java.find(os.environ)
    os.environ["JAVA_HOME"] = str(found.home)
    return found


@pytest.fixture(scope="session")
def kafka_broker(
    java_17: java.Java, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[broker.Broker]:
    home = tmp_path_factory.mktemp("broker")
    path = jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))
    yield broker.start(home, java_17, path)
    broker.stop(home)


@pytest.fixture
def topics(kafka_broker: broker.Broker) -> Topics:
    named = Topics.named(f"test-{uuid.uuid4().hex[:8]}")
    ensure(kafka_broker.kafka, named)
    return named


@pytest.fixture(scope="session")
def spark_jars(java_17: java.Java) -> list[Path]:
    return jars.ensure(jars.CONNECTOR, java_17, jars.cache(os.environ))


@pytest.fixture(scope="session")
def spark(spark_jars: list[Path]) -> Iterator[SparkSession]:
    """One session for all: it can train, score and speak to Kafka."""
    made = session("local[2]", spark_jars)
    yield made
    made.stop()
