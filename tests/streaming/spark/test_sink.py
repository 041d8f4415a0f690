"""Answers are written as whoever runs the query wants them compressed."""

from __future__ import annotations

import struct
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from kafka.record.default_records import DefaultRecordBatch
from pyspark.sql import SparkSession

from contract.choices import Compression
from contract.kafka.topics import ensure
from contract.settings.programs import Scoring
from contract.wire.topics import Topics
from digitstream.kafka.server import Broker
from streaming.query.program import score
from streaming.spark.sink import Sink
from tests.streaming.records import reading
from tests.streaming.wire import send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]

CODECS = {
    "none": DefaultRecordBatch.CODEC_NONE,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


def stored_codecs(broker: Broker, topic: str) -> set[int]:
    """The codecs of the batches in a topic, from the files of its partitions."""
    codecs = set()
    for segment in Path(broker.data).glob(f"{topic}-[0-9]/{0:020}.log"):
        content, at = segment.read_bytes(), 0
        while at + 23 <= len(content) and (size := struct.unpack_from(">i", content, at + 8)[0]):
            attributes = struct.unpack_from(">h", content, at + 21)[0]
            codecs.add(attributes & DefaultRecordBatch.CODEC_MASK)
            at += 12 + size
    return codecs


def test_answers_are_compressed_with_every_codec_of_the_setting(
    spark: SparkSession, kafka_broker: Broker
) -> None:
    assert CODECS.keys() == {*get_args(Compression)}
    topics = Topics.named(f"test-{uuid.uuid4().hex[:8]}")
    ensure(kafka_broker.kafka, topics, partitions=1)
    for codec, topic in zip(get_args(Compression), vars(topics).values(), strict=False):
        answers = spark.createDataFrame([(topic, b"x" * 1000)] * 9, "topic string, value binary")
        Sink(kafka_broker.kafka, codec).publish(answers)
        assert stored_codecs(kafka_broker, topic) == {CODECS[codec]}


@pytest.mark.slow
def test_a_query_compresses_scores_and_dead_letters_with_lz4_or_as_it_is_told(
    spark: SparkSession,
    kafka_broker: Broker,
    scoring: Scoring,
) -> None:
    codecs = [CODECS[scoring.compression], CODECS["gzip"]]
    assert codecs[0] == CODECS["lz4"]
    for number, settings in enumerate((scoring, replace(scoring, compression="gzip"))):
        send(settings, [reading(number), reading()._replace(value=b"what?")])
        score(spark, settings, threading.Event(), lambda sentence: None)
        for topic in (settings.topics.scores, settings.topics.dead_letters):
            assert stored_codecs(kafka_broker, topic) == {*codecs[: number + 1]}
