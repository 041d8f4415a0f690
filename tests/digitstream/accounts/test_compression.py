"""Whatever producers and topics compress, every program of ours reads it, or says what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession

from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.settings.programs import Scoring
from contract.wire.messages import Message
from contract.wire.progress import Lag, Progress
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import open_reader
from digitstream.accounts.topics import reconcile
from digitstream.health.status import status
from digitstream.kafka.server import Broker
from streaming.query.program import score
from tests.contract.kafka.test_score_stream import Scores, take
from tests.digitstream.conftest import Run
from tests.streaming.conftest import scoring  # noqa: F401  # a fixture
from tests.streaming.records import reading
from tests.streaming.wire import make_compressed

pytestmark = pytest.mark.kafka

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAG = Lag(0, None, None, None, None)
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def send(broker: Broker, topic: str, codec: str | None, messages: Sequence[Message]) -> None:
    with KafkaProducer(**arguments(broker.kafka), compression_type=codec) as producer:
        for key, value, headers in messages:
            producer.send(topic, value, key, headers)


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.mark.spark
@pytest.mark.long
def test_every_program_reads_what_producers_and_topics_compress(
    spark: SparkSession,
    scoring: Scoring,  # noqa: F811
    kafka_broker: Broker,
    prefix: str,
    run: Run,
) -> None:
    """The topics recompress with zstd what comes in five ways, and after that nothing does."""
    topics = Topics.named(prefix)
    make_compressed(kafka_broker.kafka, topics, "zstd")
    settings = replace(scoring, prefix=prefix, name="compressed")
    for topic in (topics.readings, scoring.topics.readings):
        for codec in CODECS:
            bad = reading(90)._replace(value=b"what?")
            send(kafka_broker, topic, codec, [*map(reading, range(8)), bad])
    for each in (settings, scoring):
        for codec in CODECS:
            told = Progress(each.name, 0, NOW, 0, 0, 0, 0.0, 0.0, {}, None, LAG).message()
            send(kafka_broker, each.topics.progress, codec, [told])
        score(spark, each, threading.Event(), lambda sentence: None)
        flags = ("--bootstrap-servers", each.bootstrap_servers, "--prefix", each.prefix)
        with open_reader(each.kafka) as reader, open_log(each.kafka) as log:
            counts = reconcile(reader, each.topics)
            found = status(reader, log, each, datetime.now(UTC))
        assert (counts.total("scored"), counts.total("dead_lettered")) == (40, 5)
        assert counts.complete and found.last is not None
        listed = json.loads(run("dead-letters", "list", *flags, "--json")[1])
        assert listed["total"] == 5
        letter = listed["letters"][0]
        id = "/".join(str(letter[name]) for name in ("topic", "partition", "offset"))
        code, report, _ = run("dead-letters", "show", id, *flags)
        assert (code, "what?" in report) == (0, True)
        assert json.loads(run("dead-letters", "replay", *flags, "--json")[1])["sent"] == 5
        with Scores(each.bootstrap_servers, each.topics).open(patience=60.0) as stream:
            assert len(take(stream, 40)) == 40


WITHOUT_ZSTD = """
import sys

sys.modules["zstandard"] = None  # as if it was not installed
from digitstream.cli import main

main()
"""


@pytest.mark.parametrize("command", [["reconcile"], ["dead-letters", "list"], ["status"]])
def test_a_compression_that_cannot_be_undone_is_one_sentence(
    kafka_broker: Broker, prefix: str, command: list[str], tmp_path: Path
) -> None:
    topics = Topics.named(prefix)
    make_compressed(kafka_broker.kafka, topics, "zstd")
    for topic in (topics.readings, topics.scores, topics.dead_letters, topics.progress):
        send(kafka_broker, topic, None, [Message(b"k", b"{}", [])])
    flags = ["--bootstrap-servers", kafka_broker.bootstrap_servers, "--prefix", prefix]
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_ZSTD, *command, *flags, "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(ended.stderr.split())
    assert (ended.returncode, ended.stdout, "Traceback" in said) == (1, "", False)
    assert "this Python cannot decompress zstd" in said and "`pip install zstandard`" in said
