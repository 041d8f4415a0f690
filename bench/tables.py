"""Speed of archiving topics, and of queries of the tables.

`python -m bench.tables [READINGS]` fills an embedded Kafka with so many readings, labels and
scores, and prints the archive's rows per second, then the seconds of each query.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from kafka import KafkaProducer

from contract.kafka.clients import arguments
from contract.kafka.topics import ensure
from contract.settings.programs import Settings
from contract.settings.sources import environment
from contract.wire.events import Label, Model, Reading, Score, Source, Times
from contract.wire.images import RAW
from contract.wire.messages import Message
from digitstream.installation import embedded_kafka

READINGS = 1_000_000
BATCH = "250000"
QUERIES = (
    ("sql", "SELECT count(*) FROM readings"),
    ("sql", "SELECT hour(broker_time), count(*), avg(int(correct)) FROM answers GROUP BY 1"),
    ("reconcile", "--from", "tables"),
    ("tables", "compact"),
    ("tables", "list"),
)


def main(readings: int) -> None:
    """Measure with so many readings, in a temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="digitstream-bench-") as folder,
        embedded_kafka(Settings(Path(folder))) as settings,
    ):
        send(settings, readings)
        environ = {**os.environ, **environment(settings)}
        seconds, report = time_command(
            environ, "archive", "--available-now", "--batch-records", BATCH
        )
        rows = sum(json.loads(report).values())
        sys.stdout.write(f"archive: {rows} rows in {seconds:.0f} s, {rows / seconds:.0f}/s\n")
        for query in QUERIES:
            seconds, _ = time_command(environ, *query)
            sys.stdout.write(f"{' '.join(query)}: {seconds:.1f} s\n")


def time_command(environ: dict[str, str], *command: str) -> tuple[float, str]:
    """The seconds that a command takes, including its start, and its report."""
    start = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-m", "digitstream", *command, "--json"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.monotonic() - start, process.stdout


def send(settings: Settings, readings: int) -> None:
    """Fill the topics with so many random readings, their labels and scores."""
    ensure(settings.kafka, settings.topics)
    producer = KafkaProducer(
        **arguments(settings.kafka), acks="all", linger_ms=20, batch_size=1 << 19
    )
    topics = settings.topics
    for number, (reading, label, score) in enumerate(events(topics.readings, readings)):
        for topic, message in (
            (topics.readings, reading),
            (topics.labels, label),
            (topics.scores, score),
        ):
            producer.send(topic, message.value, message.key, message.headers, number % 2)
    producer.flush(60)
    producer.close(timeout=60)


def events(topic: str, readings: int) -> Iterator[tuple[Message, Message, Message]]:
    """Readings with their labels and scores, alternating between two partitions."""
    now, model = datetime.now(UTC), Model("digits", "1", "onnx")
    random = np.random.default_rng(28)
    probabilities = tuple(
        float(share) for share in random.dirichlet(np.ones(10)).astype(np.float32)
    )
    pixels = random.binomial(255, 0.02, (1000, 784)).astype(np.uint8)
    for number in range(readings):
        id, device, digit = f"reading-{number}", f"device-{number % 50:03}", number % 10
        source = Source(topic, number % 2, number // 2)
        image = pixels[number % 1000].tobytes()
        yield (
            Reading(id, device, now, RAW, image, f"/devices/{device}").message(),
            Label(id, digit, now).message(),
            Score(
                id,
                device,
                digit,
                max(probabilities),
                probabilities,
                model,
                source,
                Times(now, now, now),
            ).message(),
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else READINGS)
