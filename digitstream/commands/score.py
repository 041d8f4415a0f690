"""`digitstream score`: readings as they arrive, or the past once more."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from contract.quantities import quantity
from digitstream import flags, terminal

if TYPE_CHECKING:
    from contract.settings.programs import History, Rescoring

Largest = Annotated[
    int | None,
    typer.Option(
        "--max-offsets-per-trigger", help="Readings in a micro-batch at most. [default: 5000]"
    ),
]
Canary = Annotated[
    str | None,
    typer.Option(help="Share of the devices that the challenger answers, like 10%. [default: 0%]"),
]
Shadow = Annotated[
    str | None,
    typer.Option(
        help="Share of the readings that the challenger scores besides, to "
        "PREFIX.shadow-scores. [default: 0%]"
    ),
]
GuardReadings = Annotated[
    int | None,
    typer.Option(
        help="How many first readings of a new version are scored by the one before it, too; 0 "
        "watches none. [default: 1000]"
    ),
]
GuardAgreement = Annotated[
    str | None,
    typer.Option(
        help="Share of these to which both must give one class, or the new version is rolled back. "
        "[default: 90%]"
    ),
]
GuardSlowness = Annotated[
    float | None,
    typer.Option(
        help="How many times as long as the one before it the new version may take, or it is "
        "rolled back. [default: 3]"
    ),
]
MaxLatency = Annotated[
    str | None,
    typer.Option(
        help="Longest wait for a score, like 500ms, if micro-batches keep up. [default: none]"
    ),
]
Trigger = Annotated[
    str | None, typer.Option(help="Time from one micro-batch to the next, like 1s. [default: 0s]")
]
FromTimestamp = Annotated[
    str | None,
    typer.Option(
        help="Begin with the first reading that Kafka stored then or later, like "
        "2026-01-31T09:15:00Z: for a query that is new, or with --topic. [default: the oldest]"
    ),
]
ToTimestamp = Annotated[
    str | None,
    typer.Option(
        help="With --topic: end before the first reading that Kafka stored then or later. "
        "[default: what is there by now]"
    ),
]
Version = Annotated[
    str | None,
    typer.Option(
        help="With --topic: the number of the version that scores. [default: the champion]"
    ),
]
ScoresTopic = Annotated[
    str | None,
    typer.Option(
        "--topic",
        help="Score the past once more, to this topic, and end (docs/models.md). [default: none]",
    ),
]
SkipLost = Annotated[
    bool | None,
    typer.Option(
        "--skip-lost",
        help="Go on without the readings that Kafka forgot before they were answered.",
    ),
]
From = Annotated[
    flags.Origin,
    typer.Option(
        "--from",
        help="With --topic: where the readings are: topics, what Kafka still has, or tables, what "
        "the archive has.",
    ),
]
AvailableNow = Annotated[
    bool | None, typer.Option("--available-now", help="Score what is there, then end.")
]


def score(
    home: flags.Home = None,
    bootstrap_servers: flags.BootstrapServers = None,
    kafka_profile: flags.KafkaProfile = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    prefix: flags.Prefix = None,
    tracking_uri: flags.TrackingUri = None,
    model: flags.Model = None,
    engine: flags.EngineName = None,
    max_offsets_per_trigger: Largest = None,
    max_latency: MaxLatency = None,
    trigger: Trigger = None,
    available_now: AvailableNow = None,
    from_timestamp: FromTimestamp = None,
    to_timestamp: ToTimestamp = None,
    version: Version = None,
    topic: ScoresTopic = None,
    origin: From = flags.Origin.TOPICS,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    skip_lost: SkipLost = None,
    subscribe: flags.Subscribe = None,
    name: flags.Name = None,
    canary: Canary = None,
    shadow: Shadow = None,
    guard_readings: GuardReadings = None,
    guard_agreement: GuardAgreement = None,
    guard_slowness: GuardSlowness = None,
    as_json: flags.AsJson = False,
) -> None:
    """Score readings as they arrive, until stopped (Ctrl-C, SIGTERM)."""
    from contract.errors import SettingsError
    from contract.settings.programs import History, Rescoring, Scoring

    given = locals()
    again = flags.loaded(Rescoring, given)
    archived = origin is flags.Origin.TABLES
    if not again.topic and (again.version or again.to_timestamp is not None or archived):
        message = (
            "--version, --to-timestamp and --from are for scoring the past once more, which goes "
            "to a topic of its own. Name that with --topic, or leave them out: the champion "
            "scores, without an end."
        )
        raise SettingsError(message)
    settings = flags.connected(flags.loaded(Scoring, given))
    from digitstream.machine import needs

    needs.java_17()
    if again.topic:
        history = flags.loaded(History, given) if archived else None
        _score_again(flags.connected(again), history, as_json)
        return
    connector = needs.connector()
    from streaming.engines.trials import AUTO
    from streaming.query import program

    engine = "" if settings.engine == AUTO else f" with {settings.engine}"
    with terminal.activity(f"Scoring {', '.join(settings.read)}{engine}"):
        summary = program.run(settings, connector, terminal.say)
    letters = quantity(summary.dead_letters, "dead letter")
    sentence = f"{quantity(summary.scored, 'reading')} scored, {letters}."
    terminal.report(asdict(summary), lambda: sentence, as_json)


def _score_again(settings: Rescoring, history: History | None, as_json: bool) -> None:
    from digitstream.machine import needs
    from streaming.query import rescoring

    needed = needs.connector() if history is None else needs.delta()
    what = ", ".join(settings.read) if history is None else f"the readings of {history.address}"
    with terminal.activity(f"Scoring {what} once more, to {settings.topic}"):
        summary = rescoring.run(settings, needed, terminal.say, history)
    sentence = (
        f"{quantity(summary.scored, 'reading')} scored to {settings.topic}; "
        f"{summary.dead_letters} cannot be."
    )
    terminal.report(asdict(summary), lambda: sentence, as_json)
