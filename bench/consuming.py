"""Speed of reading scores and of `reconcile`: `python -m bench.consuming [COUNT]`.

Writes COUNT readings and their scores to an embedded Kafka, compressed as by the scoring query.
Prints seconds and scores/s of a `ScoreStream`, and of `reconcile`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from rich.console import Console

from contract import ScoreStream
from contract.kafka.clients import arguments
from contract.kafka.topics import ensure
from contract.settings.programs import Settings
from contract.wire.events import Model, Score, Source, Times
from digitstream import terminal
from digitstream.accounts import topic_reader
from digitstream.accounts.topics import reconcile
from digitstream.installation import embedded_kafka

PARTITIONS = 2


def main(count: int) -> dict[str, dict[str, float]]:
    """Start an embedded Kafka, fill it, and read it in both ways."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_kafka(Settings(Path(folder))) as settings,
    ):
        ensure(settings.kafka, settings.topics, partitions=PARTITIONS)
        with terminal.activity(f"Writing {count} readings and scores"):
            fill(settings, count)
        return {"score_stream": read_scores(settings, count), "reconcile": account(settings)}


def fill(settings: Settings, count: int) -> None:
    """Write readings and their scores."""
    shared = {**arguments(settings.kafka), "batch_size": 1 << 18, "linger_ms": 50}
    model, now = Model("digits", "1", "onnx"), datetime.now(UTC)
    readings, scores = KafkaProducer(**shared), KafkaProducer(**shared, compression_type="gzip")
    for number in range(count):
        partition, offset = number % PARTITIONS, number // PARTITIONS
        readings.send(settings.topics.readings, bytes(784), partition=partition)
        confidence = 0.5 + number % 1000 / 2001
        key, value, headers = Score(
            id=f"reading-{number}",
            device=f"device-{number % 50:03}",
            prediction=number % 10,
            confidence=confidence,
            probabilities=(confidence, *[(1 - confidence) / 9] * 9),
            model=model,
            source=Source(settings.topics.readings, partition, offset),
            times=Times(now, now, now),
        ).message()
        scores.send(settings.topics.scores, value, key, headers, partition)
    for producer in (readings, scores):
        producer.flush(60)
        producer.close(timeout=60)


def read_scores(settings: Settings, count: int) -> dict[str, float]:
    """Read all scores with a ScoreStream."""
    with ScoreStream(settings.kafka, settings.prefix) as scores:
        next(scores)
        start = time.perf_counter()
        for _ in range(count - 1):
            next(scores)
        return _figures(count, time.perf_counter() - start)


def account(settings: Settings) -> dict[str, float]:
    """Account for all readings."""
    with topic_reader.open_reader(settings.kafka) as reader:
        began = time.perf_counter()
        accounts = reconcile(reader, settings.topics)
        return _figures(accounts.total("scored"), time.perf_counter() - began)


def _figures(count: int, seconds: float) -> dict[str, float]:
    return {"count": count, "seconds": round(seconds, 2), "per_s": round(count / seconds)}


if __name__ == "__main__":
    figures: Any = main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    Console().print_json(json.dumps(figures))
