"""`digitstream broker`: the embedded Kafka."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.settings.programs import Settings
from digitstream import flags, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from digitstream.kafka.server import Broker

app = typer.Typer(help="The embedded Kafka of this home.", no_args_is_help=True)

Secure = Annotated[
    bool, typer.Option("--secure", help="Let in only clients that use TLS and are known users.")
]
Apply = Annotated[
    bool,
    typer.Option(
        "--apply", help="Make the topics and give the rights, rather than print the commands."
    ),
]
Create = Annotated[
    bool, typer.Option("--create-topics", help="Let producer and scorer make topics, too.")
]
Producer = Annotated[str, typer.Option(help="The user as whom `produce` runs.")]
Scorer = Annotated[str, typer.Option(help="The user as whom `score` runs.")]
Reader = Annotated[str, typer.Option(help="The user as whom consumers read.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="Port for clients. [default: that of the last run, else 9092, else any]",
    ),
]


@app.command(short_help="Start the embedded Kafka, unless it runs.")
@flags.settings(Settings, *flags.HOME)
def start(
    given: flags.Given, port: Port = None, secure: Secure = False, as_json: flags.AsJson = False
) -> None:
    """Start the embedded Kafka, unless it runs. One that was started with --secure stays so."""
    from digitstream.installation import start_kafka
    from digitstream.kafka import server

    settings = given.load(Settings)
    before = server.status(settings.home)
    with terminal.activity("Starting Kafka"):
        found = start_kafka(settings.home, port, locked=secure)
    _report(found, as_json, "runs already" if found == before else "runs")
    if found.listeners:
        terminal.say(_way_in(settings.home))


@app.command()
@flags.settings(Settings, *flags.HOME)
def stop(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """Stop the embedded Kafka; its data stays."""
    from digitstream.kafka import server

    settings = given.load(Settings)
    with terminal.activity("Stopping Kafka"):
        stopped = server.stop(settings.home)
    value = {"running": False, "stopped": None if stopped is None else asdict(stopped)}

    def sentence() -> str:
        if stopped is None:
            return f"No Kafka of {settings.home} was running."
        return f"Kafka at {stopped.bootstrap_servers} (process {stopped.pid}) was stopped."

    terminal.report(value, sentence, as_json)


@app.command(short_help="Say whether it runs, and where.")
@flags.settings(Settings, *flags.HOME)
def status(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """Say whether the embedded Kafka runs, and where; exits with 1 if it does not."""
    from digitstream.kafka import server

    found = server.status(given.load(Settings).home)
    _report(found, as_json)
    raise typer.Exit(0 if found is not None else 1)


@app.command(short_help="Print the rights that programs need, or give them.")
@flags.settings(Settings, *flags.KAFKA, "prefix", "partitions")
def acls(
    given: flags.Given,
    producer: Producer = "producer",
    scorer: Scorer = "scorer",
    reader: Reader = "reader",
    create_topics: Create = False,
    apply: Apply = False,
    as_json: flags.AsJson = False,
) -> None:
    """Print the commands that give each program its rights on Kafka, or give them (--apply)."""
    from digitstream.kafka import acls

    settings = given.load(Settings)
    users = {"producer": producer, "scorer": scorer, "reader": reader}
    rights = list(acls.rights(settings.topics, users, settings.prefix, create=create_topics))
    if apply:
        settings = flags.connected(settings)
        acls.give(settings.kafka, rights, settings.topics, settings.partitions)
    value = {"applied": apply, "rights": [asdict(right) for right in rights]}

    def sentences() -> list[str]:
        if apply:
            return [f"Kafka at {settings.kafka} has the topics, and {len(rights)} rights on them."]
        servers = settings.bootstrap_servers or "HOST:PORT"
        tool = f"kafka-acls.sh --bootstrap-server {servers} --command-config ADMIN.properties"
        return [f"{tool} {right.command}" for right in rights]

    terminal.report(value, sentences, as_json)


def _way_in(home: Path) -> str:
    from contract.settings.sources import PROFILES
    from digitstream.kafka.security import USERS

    return (
        f"It lets in only who has a profile: {home / PROFILES} has some, for --kafka-profile or "
        f"DIGITSTREAM_KAFKA_PROFILE: {', '.join(USERS)}. Give them their rights once with "
        f"`digitstream broker acls --apply --kafka-profile admin`."
    )


def _report(found: Broker | None, as_json: bool, does: str = "runs") -> None:
    value: dict[str, Any] = {"running": found is not None, **(asdict(found) if found else {})}

    def sentence() -> str:
        if found is None:
            return "Kafka is not running."
        at = f"{found.bootstrap_servers} (process {found.pid}, log {found.log})"
        return f"Kafka {does} at {at}."

    terminal.report(value, sentence, as_json)
