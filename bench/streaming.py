"""A backlog scored by each engine, Kafka to Kafka: `python -m bench.streaming [HOME]`.

HOME has a champion (`digitstream train` makes one) and is `.digitstream` by default. Prints
readings/s of each engine: of all micro-batches, and without the first, in which workers start and
models are loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from contract.progress import Progress
from contract.settings import Scoring
from digitstream import broker, consumer, display, jars, machine
from digitstream.children import Commands

READINGS = {"onnx": 60_000, "systemds": 20_000}
IN_A_BATCH = 5_000


def main(home: Path) -> dict[str, dict[str, float]]:
    """Start a Kafka of our own, and let each engine score a backlog of READINGS."""
    champions = f"sqlite:///{(home.resolve() / 'mlflow.db').as_posix()}"
    figures = {}
    for engine in READINGS:
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder)
            kafka = broker.start(own, machine.java_17(), machine.fetched(jars.BROKER))
            try:
                settings = Scoring(own, kafka.bootstrap_servers, tracking_uri=champions)
                figures[engine] = drained(settings, engine)
            finally:
                broker.stop(own)
    return figures


def drained(settings: Scoring, engine: str) -> dict[str, float]:
    """Send the engine's readings, then score them; returns the figures."""
    shared = {
        "DIGITSTREAM_HOME": str(settings.home),
        "DIGITSTREAM_TRACKING_URI": str(settings.tracking_uri),
        "DIGITSTREAM_BOOTSTRAP_SERVERS": str(settings.kafka),
    }
    with Commands(settings.home / "logs", shared) as commands:
        count = str(READINGS[engine])
        with display.activity(f"Sending {count} readings for {engine}"):
            produce = ["produce", "--count", count, "--rate", "max", "--label-delay", "0"]
            commands.start([*produce, "--json"]).result()
        with display.activity(f"Scoring them with {engine}"):
            size = ["--max-offsets-per-trigger", str(IN_A_BATCH)]
            score = ["score", "--engine", engine, "--available-now", *size]
            summary = json.loads(commands.start([*score, "--json"]).result())
    with consumer.reading(settings.kafka) as reader:
        batches = [
            Progress.of(record.key, record.value, record.headers)
            for records in reader.records(settings.topics.progress)
            for record in records
        ]
    return {**summary, "readings_per_s": _rate(batches), "steady_per_s": _rate(batches[1:])}


def _rate(batches: list[Progress]) -> float:
    milliseconds = sum(batch.durations_ms["triggerExecution"] for batch in batches)
    return round(1000 * sum(batch.rows for batch in batches) / milliseconds, 1)


if __name__ == "__main__":
    figures: Any = main(Path(sys.argv[1] if len(sys.argv) > 1 else ".digitstream"))
    Console().print_json(json.dumps(figures))
