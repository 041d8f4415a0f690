"""`digitstream score`: readings as they arrive, or the past once more."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from contract.quantities import quantity
from digitstream import display, flags

if TYPE_CHECKING:
    from contract.settings import History, Rescoring

Largest = Annotated[
    int | None,
    typer.Option(
        "--max-offsets-per-trigger", help="Readings in a micro-batch at most. [default: 5000]"
    ),
]
Canary = Annotated[
    str | None, typer.Option(help="Share of the devices that the challenger answers. [default: 0%]")
]
Shadow = Annotated[
    str | None,
    typer.Option(
        help="Share of the readings that it scores besides, to PREFIX.shadow-scores. [default: 0%]"
    ),
]
GuardReadings = Annotated[
    int | None, typer.Option(help="First readings by which a new model is judged. [default: 1000]")
]
GuardAgreement = Annotated[
    str | None, typer.Option(help="Share of them with the class of the one before. [default: 90%]")
]
GuardSlowness = Annotated[
    float | None, typer.Option(help="Times as long as the one before it may take. [default: 3]")
]
MaxLatency = Annotated[
    str | None,
    typer.Option(
        help="Longest wait for a score, like 500ms, if micro-batches keep up. [default: none]"
    ),
]
Trigger = Annotated[
    str | None, typer.Option(help="Time from one micro-batch to the next. [default: 0s]")
]
FromTimestamp = Annotated[
    str | None,
    typer.Option(help="Where a new query begins, like 2026-01-31T09:15:00Z. [default: the oldest]"),
]
ToTimestamp = Annotated[
    str | None, typer.Option(help="With --topic: where to end. [default: what is there by now]")
]
Version = Annotated[
    str | None, typer.Option(help="With --topic: the version that scores. [default: the champion]")
]
ScoresTopic = Annotated[
    str | None,
    typer.Option(
        "--topic", help="Score the past once more, to this topic, and end. [default: none]"
    ),
]
SkipLost = Annotated[
    bool | None,
    typer.Option("--skip-lost", help="Go on without readings that Kafka forgot; once."),
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
    origin: flags.From = flags.Origin.TOPICS,
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
    from contract.settings import History, Rescoring, Scoring

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
    from digitstream import machine

    machine.java_17()
    if again.topic:
        history = flags.loaded(History, given) if archived else None
        _score_again(flags.connected(again), history, as_json)
        return
    connector = machine.connector()
    from streaming import scoring
    from streaming.choice import AUTO

    engine = "" if settings.engine == AUTO else f" with {settings.engine}"
    with display.activity(f"Scoring {', '.join(settings.read)}{engine}"):
        summary = scoring.run(settings, connector, display.say)
    letters = quantity(summary.dead_letters, "dead letter")
    sentence = f"{quantity(summary.scored, 'reading')} scored, {letters}."
    display.report(asdict(summary), lambda: sentence, as_json)


def _score_again(settings: Rescoring, history: History | None, as_json: bool) -> None:
    from digitstream import machine
    from streaming import rescoring

    needed = machine.connector() if history is None else machine.delta()
    what = ", ".join(settings.read) if history is None else f"the readings of {history.address}"
    with display.activity(f"Scoring {what} once more, to {settings.topic}"):
        summary = rescoring.run(settings, needed, display.say, history)
    sentence = (
        f"{quantity(summary.scored, 'reading')} scored to {settings.topic}; "
        f"{summary.dead_letters} cannot be."
    )
    display.report(asdict(summary), lambda: sentence, as_json)
