"""The whole way once: train, register, score a stream, and account for every reading."""

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
from digitstream.machine.subcommands import Command, Commands, Heard

REPORT = "report.json"
LEAST_ACCURACY = 0.95
GLANCE_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """What the demo does and sends; faults are spread over all kinds."""

    readings: int = 10_000
    devices: int = 50
    rate: int = 500
    faults: str = "1%"
    warm_up: int = 500
    """Readings before these, which no figure but the reconciliation's counts: the JVM compiles what
    it runs often, so that the first seconds of a query are slower by a factor."""
    epochs: int = 3
    patience: float = 600.0
    """Seconds that a scorer which is ready may take to the next answer, before readings that lack
    one are called missing: a busy machine takes minutes to the first."""


class DemoFailed(ProgramError):
    """The demo ran to its end, but a reading is missing or the accuracy too low."""


def run(settings: Scoring, plan: Plan) -> report.Report:
    """Run the demo in `settings.home`; returns the report when it is written.

    Leaves the broker running only if it ran before. Raises CommandFailed with what stopped it.
    """
    with ExitStack() as cleanup:
        settings = cleanup.enter_context(_kafka(settings))
        ensure(settings.kafka, settings.topics, partitions=settings.partitions)
        commands = cleanup.enter_context(commands_of(settings))
        training = _trained(commands, plan)
        connector = needs.connector()
        terminal.say(f"Spark reads and writes Kafka with {len(connector)} jars of its connector.")
        scorer = _scoring(commands, settings)
        reader = cleanup.enter_context(topic_reader.open_reader(settings.kafka))
        _stream(commands, scorer, reader, settings, plan, warm_up=True)
        since = Mark.now(reader, settings.topics)
        _stream(commands, scorer, reader, settings, plan, warm_up=False)
        return _reported(reader, settings, plan, since, training)


@contextmanager
def _kafka(settings: Scoring) -> Iterator[Scoring]:
    """The settings with Kafka's address; the embedded broker runs while the body does."""
    if settings.bootstrap_servers is not None:
        yield settings
        return
    with ExitStack() as running:
        with terminal.activity("Starting Kafka"):
            connected = running.enter_context(embedded_kafka(settings))
        terminal.say(f"Kafka {jars.KAFKA_BROKER} runs at {connected.bootstrap_servers}.")
        yield connected


def _trained(commands: Commands, plan: Plan) -> dict[str, Any]:
    """Train, register and promote; returns what `train` reports."""
    with terminal.activity("Training LeNet with Keras2DML on SystemDS") as news:
        heard = partial(_without_java, news)
        command = commands.start(["train", "--epochs", str(plan.epochs), "--json"], heard)
        trained: dict[str, Any] = json.loads(command.result())
    terminal.say(
        f"Trained in {trained['seconds']:.0f} s ({trained['images_per_s']:.0f} images/s): accuracy "
        f"{trained['accuracy']:.2%} on images held out. Version {trained['version']} is champion."
        if trained["promoted"]
        else f"{trained['accuracy']:.2%} on images held out. Version "
        f"{trained['compared']['champion']} stays champion: {trained['compared']['reason']}."
    )
    return trained


def _without_java(news: Heard, line: str) -> None:
    """Pass on what a command of ours says, not what its JVM warns of when it starts."""
    if not line.startswith("WARNING: "):
        news(line)


def _scoring(commands: Commands, settings: Scoring) -> Command:
    """Start the scorer; returns when it takes readings, however long that takes, and shows what it
    is at until then.
    """
    goes_on = heartbeat.file(settings.home, "score", settings.name)
    goes_on.unlink(missing_ok=True)
    scorer, shown = commands.start(["score", "--engine", settings.engine]), ""
    with terminal.activity("Starting the scorer") as news:
        while not goes_on.exists():
            scorer.check()
            latest = "".join(scorer.said[-1:])
            if latest != shown:
                _without_java(news, latest)
                shown = latest
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
            if producer.ended and answered >= now.sent - before.sent:
                break
    producer.result()
    if not answered:
        message = (
            f"The scorer is ready, but answered no reading within {plan.patience:.0f} s. Its log "
            f"says what it did: {scorer.log}. Run the demo again once that is corrected."
        )
        raise DemoFailed(message)


def _marks(reader: topic_reader.TopicReader, settings: Scoring, patience: float) -> Iterator[Mark]:
    """How far the topics are, again and again, until there is no new answer for `patience`."""
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < patience:
        now = Mark.now(reader, settings.topics)
        if now.answered != last:
            last, moved = now.answered, time.monotonic()
        yield now
        time.sleep(GLANCE_SECONDS)


def _reported(
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


def check(made: report.Report, log: Path) -> None:
    """Raise DemoFailed if a reading is missing, or the accuracy low; `log` is the scorer's."""
    complaints = []
    if made.unanswered:
        complaints.append(
            f"{quantity(made.unanswered, 'reading has', 'readings have')} neither a score nor a "
            f"dead letter; `digitstream reconcile` lists the gaps while the broker runs"
        )
    if made.accuracy < LEAST_ACCURACY:
        complaints.append(
            f"the accuracy is {made.accuracy:.2%}, below {LEAST_ACCURACY:.0%}; "
            f"confusion-matrix.png shows which classes are mistaken"
        )
    if complaints:
        message = f"The demo failed: {'; '.join(complaints)}. What the scorer said is in {log}."
        raise DemoFailed(message)
