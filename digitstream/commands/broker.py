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

app = typer.Typer(help="The embedded Kafka.", no_args_is_help=True)

Secure = Annotated[bool, typer.Option("--secure", help="Accept only known users, over TLS.")]
Apply = Annotated[
    bool,
    typer.Option(
        "--apply", help="Create the topics and grant the rights instead of printing the commands."
    ),
]
Create = Annotated[
    bool, typer.Option("--create-topics", help="Also let producer and scorer create topics.")
]
Producer = Annotated[str, typer.Option(help="User that runs `produce`.")]
Scorer = Annotated[str, typer.Option(help="User that runs `score`.")]
Reader = Annotated[str, typer.Option(help="User of consumers.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="Port for clients. [default: the port of the last run, else 9092, else any]",
    ),
]


@app.command(short_help="Start the embedded Kafka.")
@flags.settings(Settings, *flags.HOME)
def start(
    inputs: flags.Inputs, port: Port = None, secure: Secure = False, as_json: flags.AsJson = False
) -> None:
    """Start the embedded Kafka unless it is running. One started with --secure stays secure."""
    from digitstream.installation import start_kafka
    from digitstream.kafka import server

    settings = inputs.load(Settings)
    before = server.status(settings.home)
    with terminal.activity("Starting Kafka"):
        broker = start_kafka(settings.home, port, secure=secure)
    _report(broker, as_json, "runs already" if broker == before else "runs")
    if broker.listeners:
        terminal.say(_way_in(settings.home))


@app.command()
@flags.settings(Settings, *flags.HOME)
def stop(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Stop the embedded Kafka and keep its data."""
    from digitstream.kafka import server

    settings = inputs.load(Settings)
    with terminal.activity("Stopping Kafka"):
        stopped = server.stop(settings.home)
    value = {"running": False, "stopped": None if stopped is None else asdict(stopped)}

    def sentence() -> str:
        if stopped is None:
            return f"No Kafka of {settings.home} was running."
        return f"Kafka at {stopped.bootstrap_servers} (process {stopped.pid}) was stopped."

    terminal.report(value, sentence, as_json)


@app.command(short_help="Show whether it is running, and where.")
@flags.settings(Settings, *flags.HOME)
def status(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Show whether the embedded Kafka is running, and where; exits with 1 if it is not."""
    from digitstream.kafka import server

    broker = server.status(inputs.load(Settings).home)
    _report(broker, as_json)
    raise typer.Exit(0 if broker is not None else 1)


@app.command(short_help="Print or grant the rights that programs need.")
@flags.settings(Settings, *flags.KAFKA, "prefix", "partitions")
def acls(
    inputs: flags.Inputs,
    producer: Producer = "producer",
    scorer: Scorer = "scorer",
    reader: Reader = "reader",
    create_topics: Create = False,
    apply: Apply = False,
    as_json: flags.AsJson = False,
) -> None:
    """Print the commands that grant each program its rights on Kafka, or grant them (--apply)."""
    from digitstream.kafka import acls

    settings = inputs.load(Settings)
    users = {"producer": producer, "scorer": scorer, "reader": reader}
    rights = list(acls.rights(settings.topics, users, settings.prefix, create=create_topics))
    if apply:
        settings = flags.with_broker(settings)
        acls.grant(settings.kafka, rights, settings.topics, settings.partitions)
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
        f"It accepts only clients with a profile: {home / PROFILES} has some, for --kafka-profile "
        f"or DIGITSTREAM_KAFKA_PROFILE: {', '.join(USERS)}. Grant them their rights once with "
        f"`digitstream broker acls --apply --kafka-profile admin`."
    )


def _report(broker: Broker | None, as_json: bool, does: str = "runs") -> None:
    value: dict[str, Any] = {"running": broker is not None, **(asdict(broker) if broker else {})}

    def sentence() -> str:
        if broker is None:
            return "Kafka is not running."
        at = f"{broker.bootstrap_servers} (process {broker.pid}, log {broker.log})"
        return f"Kafka {does} at {at}."

    terminal.report(value, sentence, as_json)
