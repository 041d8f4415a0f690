"""The demo, end to end: train, register, score a stream, and account for every reading."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from contract.errors import ProgramError
from contract.home import heartbeat
from contract.kafka.topics import ensure
from contract.quantities import quantity
from contract.settings.programs import Scoring
from digitstream import terminal
from digitstream.accounts import topic_reader
from digitstream.accounts.topics import Mark, reconcile
from digitstream.demo import report
from digitstream.health.query_state import QueryState
from digitstream.installation import commands_of, embedded_kafka
from digitstream.machine import jars, needs
from digitstream.machine.subcommands import Command, Commands, OnLine

REPORT = "report.json"
LEAST_ACCURACY = 0.95
GLANCE_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """What the demo sends and trains; faults are spread over all kinds."""

    readings: int
    epochs: int
    devices: int = 50
    rate: int = 500
    faults: str = "1%"
    warm_up: int = 500
    """Readings sent first, which only the reconciliation counts: the JVM compiles hot code, so the
    first seconds of a query are several times slower."""
    patience: float = 600.0
    """Seconds that a ready scorer may take to the next answer before the readings without one count
    as missing: on a busy machine the first answer takes minutes."""


class DemoFailed(ProgramError):
    """The demo finished, but a reading is missing or the accuracy is too low."""


def run(settings: Scoring, plan: Plan) -> report.Report:
    """Run the demo in `settings.home`, and write its report.

    Leaves the broker running only if it was running before. Raises CommandFailed, with the message
    of the command that failed.
    """
    with ExitStack() as cleanup:
        settings = cleanup.enter_context(_run_kafka(settings))
        ensure(settings.kafka, settings.topics, partitions=settings.partitions)
        commands = cleanup.enter_context(commands_of(settings))
        training = _train(commands, plan)
        connector = needs.fetch_connector()
        terminal.say(f"Spark's Kafka connector is ready ({len(connector)} jars).")
        scorer = _start_scorer(commands, settings)
        reader = cleanup.enter_context(topic_reader.open_reader(settings.kafka))
        _stream(commands, scorer, reader, settings, plan, warm_up=True)
        since = Mark.now(reader, settings.topics)
        _stream(commands, scorer, reader, settings, plan, warm_up=False)
        return _report(reader, settings, plan, since, training)


@contextmanager
def _run_kafka(settings: Scoring) -> Iterator[Scoring]:
    """Run the embedded broker while the body does, unless the settings name another Kafka; yields
    the settings with its address.
    """
    if settings.bootstrap_servers is not None:
        yield settings
        return
    with ExitStack() as running:
        with terminal.activity("Starting Kafka"):
            connected = running.enter_context(embedded_kafka(settings))
        terminal.say(f"Kafka {jars.KAFKA_BROKER} is running at {connected.bootstrap_servers}.")
        yield connected


def _train(commands: Commands, plan: Plan) -> dict[str, Any]:
    """Train, register and promote; returns the report of `train`."""
    with terminal.activity("Training LeNet with Keras2DML on SystemDS") as news:
        on_line = partial(_without_java, news)
        command = commands.start(["train", "--epochs", str(plan.epochs), "--json"], on_line)
        trained: dict[str, Any] = json.loads(command.result())
    terminal.say(
        f"Trained in {trained['seconds']:.0f} s ({trained['images_per_s']:.0f} images/s): accuracy "
        f"{trained['accuracy']:.2%} on held-out images. Version {trained['version']} is champion."
        if trained["promoted"]
        else f"{trained['accuracy']:.2%} on held-out images. Version "
        f"{trained['compared']['champion']} stays champion: {trained['compared']['reason']}."
    )
    return trained


def _without_java(news: OnLine, line: str) -> None:
    """Pass on a command's lines, but not the warnings of its JVM at the start."""
    if not line.startswith("WARNING: "):
        news(line)


def _start_scorer(commands: Commands, settings: Scoring) -> Command:
    """Start the scorer, and show its progress until it takes readings, however long that takes."""
    beat = heartbeat.file(settings.home, "score", settings.name)
    beat.unlink(missing_ok=True)
    scorer, last = commands.start(["score", "--engine", settings.engine]), ""
    with terminal.activity("Starting the scorer") as news:
        while not beat.exists():
            scorer.check()
            latest = "".join(scorer.lines[-1:])
            if latest != last:
                _without_java(news, latest)
                last = latest
            time.sleep(GLANCE_SECONDS)
    return scorer


def _stream(
    commands: Commands,
    scorer: Command,
    reader: topic_reader.TopicReader,
    settings: Scoring,
    plan: Plan,
    *,
    warm_up: bool,
) -> None:
    """Send readings and wait until all are answered, or none has been for `plan.patience`."""
    what, count = ("Warming up", plan.warm_up) if warm_up else ("Readings answered", plan.readings)
    arguments = ["--count", str(count), "--devices", str(plan.devices), "--rate", str(plan.rate)]
    arguments += ["--label-delay", "0"] if warm_up else ["--faults", plan.faults]
    before, answered = Mark.now(reader, settings.topics), 0
    producer = commands.start(["produce", *arguments, "--json"])
    with terminal.progress(what) as advance:
        for now in _marks(reader, settings, plan.patience):
            scorer.check()
            answered = now.answered - before.answered
            advance(answered, count, "")
            if producer.has_ended and answered >= now.sent - before.sent:
                break
    producer.result()
    if not answered:
        message = (
            f"The scorer is ready, but answered no reading within {plan.patience:.0f} s. Its log "
            f"is {scorer.log}. Fix the cause, and run the demo again."
        )
        raise DemoFailed(message)


def _marks(reader: topic_reader.TopicReader, settings: Scoring, patience: float) -> Iterator[Mark]:
    """The ends of the topics, polled until there is no new answer for `patience` seconds."""
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < patience:
        now = Mark.now(reader, settings.topics)
        if now.answered != last:
            last, moved = now.answered, time.monotonic()
        yield now
        time.sleep(GLANCE_SECONDS)


def _report(
    reader: topic_reader.TopicReader,
    settings: Scoring,
    plan: Plan,
    since: Mark,
    training: dict[str, Any],
) -> report.Report:
    from digitstream.demo import plots

    with terminal.activity("Counting"):
        state = QueryState.of(settings)
        readings, replays = (state.committed(topic) for topic in settings.topics.answered)
        figures = report.Report(
            training=training,
            scores=report.scores(reader, settings.topics, since),
            dead_letters=report.dead_letters(reader, settings.topics, since),
            reconciliation=reconcile(reader, settings.topics, since, readings, replays, state.ids),
            warm_up=plan.warm_up,
            rate=plan.rate,
        )
        plots.draw(figures, settings.home / "report")
        draft = settings.home / f"{REPORT}.new"
        draft.write_text(json.dumps(figures.to_json(), indent=2) + "\n", "utf-8")
        os.replace(draft, settings.home / REPORT)
    return figures


def check_report(figures: report.Report, log: Path) -> None:
    """Raise DemoFailed if a reading is missing, or the accuracy low; `log` is the scorer's."""
    complaints = []
    if figures.unanswered:
        complaints.append(
            f"{quantity(figures.unanswered, 'reading has', 'readings have')} neither a score nor a "
            f"dead letter; `digitstream reconcile` lists the gaps while the broker runs"
        )
    if figures.accuracy < LEAST_ACCURACY:
        complaints.append(
            f"the accuracy is {figures.accuracy:.2%}, below {LEAST_ACCURACY:.0%}; "
            f"confusion-matrix.png shows which classes are mistaken"
        )
    if complaints:
        message = f"The demo failed: {'; '.join(complaints)}. The scorer's log is {log}."
        raise DemoFailed(message)
