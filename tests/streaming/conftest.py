"""A query's settings, with topics and a registry of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from contract.settings.programs import Scoring
from contract.wire.topics import Topics
from digitstream.kafka import server


@pytest.fixture
def scoring(
    kafka_broker: server.Broker, topics: Topics, registered: Path, tmp_path: Path
) -> Scoring:
    """Settings that score what is on fresh topics with a registry of their own, and end."""
    shutil.copy(registered, tmp_path)
    return Scoring(
        home=tmp_path,
        bootstrap_servers=kafka_broker.bootstrap_servers,
        master="local[2]",
        prefix=topics.readings.removesuffix(".readings"),
        available_now=True,
        engine="onnx",
    )
