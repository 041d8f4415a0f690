"""Answers are written as whoever runs the query wants them compressed."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path
from typing import get_args

import pytest
from kafka.record.default_records import DefaultRecordBatch
from pyspark.sql import SparkSession

from contract.choices import Compression
from contract.kafka.topics import ensure
from contract.wire.topics import Topics
from digitstream.kafka.server import Broker
from streaming.spark.sink import Sink

pytestmark = [pytest.mark.kafka, pytest.mark.spark]

CODECS = {
    "none": DefaultRecordBatch.CODEC_NONE,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


def stored_codecs(broker: Broker, topic: str) -> set[int]:
    """The codecs of the batches in the first partition of a topic, from its file."""
    file = Path(broker.data, f"{topic}-0", f"{0:020}.log").read_bytes()
    codecs, at = set(), 0
    while at + 23 <= len(file) and (size := struct.unpack_from(">i", file, at + 8)[0]):
        codecs.add(struct.unpack_from(">h", file, at + 21)[0] & DefaultRecordBatch.CODEC_MASK)
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
