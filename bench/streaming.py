"""Throughput of each engine on a backlog, and latency at given rates:
`python -m bench.streaming [HOME]`.

HOME has a champion (see `digitstream train`) and is `.digitstream` by default. Producer, scorer and
broker are separate processes. Prints, as JSON, readings/s for a backlog (of all micro-batches, and
without those of the first READINGS / 4, in which workers start, models are loaded and the JVM
compiles), the peak memory of driver and Python workers, the readings/s of a loop without Spark
(`bench.bare_loop`), and the latency from the device's clock to the score's arrival in Kafka at each
of RATES, after a warm-up.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import psutil
from rich.console import Console

from bench import bare_loop
from contract.kafka.topics import ensure
from contract.model.bundle import INT8, load
from contract.settings.programs import Scoring
from contract.wire.progress import Progress
from digitstream import terminal
from digitstream.accounts import topic_reader
from digitstream.accounts.topics import Mark
from digitstream.demo import report
from digitstream.installation import commands_of, embedded_kafka
from digitstream.machine.subcommands import Command, Commands

READINGS = {
    "auto": 1_000_000,
    "onnx": 60_000,
    "openvino": 100_000,
    "openvino-int8": 200_000,
    "systemds": 20_000,
}
RATES = {100: 60, 3_000: 600}
"""Readings/s -> duration in seconds."""

WARM_UP = 60
MAX_LATENCY = "500ms"


def main(home: Path) -> dict[str, Any]:
    """Measure everything, with a new embedded Kafka for each measurement."""
    tracking_uri = f"sqlite:///{(home.resolve() / 'mlflow.db').as_posix()}"
    figures: dict[str, Any] = {"backlog": {}, "latency": {}}
    for engine in READINGS:
        with _installation(tracking_uri) as (settings, commands):
            figures["backlog"][engine] = drain_backlog(settings, commands, engine)
    with _installation(tracking_uri) as (settings, commands):
        figures["latency"] = measure_latency(settings, commands)
    return figures


@contextmanager
def _installation(tracking_uri: str) -> Iterator[tuple[Scoring, Commands]]:
    """A broker, and commands that use it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_kafka(Scoring(Path(folder), tracking_uri=tracking_uri)) as settings,
    ):
        ensure(settings.kafka, settings.topics, partitions=settings.partitions)
        with commands_of(settings) as commands:
            yield settings, commands


def drain_backlog(settings: Scoring, commands: Commands, engine: str) -> dict[str, Any]:
    """Send the engine's readings, then score them; returns the figures."""
    count = READINGS[engine]
    with terminal.activity(f"Sending {count} readings for {engine}"):
        _send(commands, count, "max")
    loop = _bare_loop(settings) if engine == "openvino-int8" else {}
    with terminal.activity(f"Scoring them with {engine}"):
        command = commands.start(["score", "--engine", engine, "--available-now", "--json"])
        peak = _peak(command)
        summary = json.loads(command.result())
    batches = _progress(settings)
    totals = np.cumsum([batch.rows for batch in batches])
    warm = [batch for batch, total in zip(batches, totals, strict=True) if total > count / 4]
    model = batches[0].model
    return {
        **summary,
        "engine": None if model is None else model.engine,
        "readings_per_s": _rate(batches),
        "steady_per_s": _rate(warm[1:]),
        "peak_mb": peak,
        **loop,
    }


def _bare_loop(settings: Scoring) -> dict[str, Any]:
    """The figures of a loop without Spark with the same readings."""
    with terminal.activity("Scoring them in a bare loop"):
        bundle = load(settings.registry.resolve().folder)
        figures = bare_loop.rates(settings, bundle.read(INT8), bundle.manifest.scaling)
    return {"bare_loop": figures}


def measure_latency(settings: Scoring, commands: Commands) -> dict[str, Any]:
    """Measure latencies in milliseconds by rate, with one query for all rates."""
    commands.start(["score", "--max-latency", MAX_LATENCY])
    latencies: dict[str, Any] = {}
    with topic_reader.open_reader(settings.kafka) as reader:
        with terminal.activity("Warming up"):
            _send_and_wait(reader, settings, commands, WARM_UP * max(RATES), max(RATES))
        for rate, seconds in RATES.items():
            since = Mark.now(reader, settings.topics)
            with terminal.activity(f"{rate} readings/s for {seconds} s"):
                _send_and_wait(reader, settings, commands, rate * seconds, rate)
            latency = report.scores(reader, settings.topics, since).latency_ms
            points = np.percentile(latency, (50, 95, 99, 100)).round(1)
            latencies[str(rate)] = dict(zip(("p50", "p95", "p99", "max"), points, strict=True))
            latencies[str(rate)]["readings"] = len(latency)
    return latencies


def _peak(command: Command) -> dict[str, int]:
    """Peak memory of the driver with its workers, and of the JVM, until the command ends, in MiB;
    shared memory counts once (Linux).
    """
    peak: Counter[str] = Counter()
    while not command.has_ended:
        now: Counter[str] = Counter()
        with suppress(psutil.Error):
            driver = psutil.Process(command.pid)
            for process in (driver, *driver.children(recursive=True)):
                with suppress(psutil.Error):
                    kind = "jvm" if process.name() == "java" else "python"
                    now[kind] += process.memory_full_info().pss >> 20
        peak |= now
        sleep(1)
    return dict(peak)


def _send(commands: Commands, count: int, rate: str) -> int:
    produce = ["produce", "--count", str(count), "--rate", rate, "--label-delay", "0", "--json"]
    return int(json.loads(commands.start(produce).result())["readings"])


def _send_and_wait(
    reader: topic_reader.TopicReader, settings: Scoring, commands: Commands, count: int, rate: int
) -> None:
    """Send readings, and wait until all are answered."""
    before = Mark.now(reader, settings.topics).answered
    sent = _send(commands, count, str(rate))
    while Mark.now(reader, settings.topics).answered < before + sent:
        sleep(0.5)


def _progress(settings: Scoring) -> list[Progress]:
    with topic_reader.open_reader(settings.kafka) as reader:
        return [
            Progress.of(record.key, record.value, record.headers)
            for records in reader.records(settings.topics.progress)
            for record in records
        ]


def _rate(batches: list[Progress]) -> float:
    milliseconds = sum(batch.durations_ms["triggerExecution"] for batch in batches)
    return round(1000 * sum(batch.rows for batch in batches) / max(milliseconds, 1), 1)


if __name__ == "__main__":
    home = Path(sys.argv[1] if len(sys.argv) > 1 else ".digitstream")
    Console().print_json(json.dumps(main(home)))
