"""`digitstream broker`: the embedded Kafka."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitstream import display, flags

if TYPE_CHECKING:
    from digitstream.broker import Broker

app = typer.Typer(help="The embedded Kafka of this home.", no_args_is_help=True)

Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="[default: that of the last run, else free]")
]


@app.command()
def start(home: flags.Home = None, port: Port = None, as_json: flags.AsJson = False) -> None:
    """Start the embedded Kafka, unless it runs."""
    from contract.settings import Settings
    from digitstream import broker, jars, machine

    settings = flags.loaded(Settings, locals())
    path = machine.fetched(jars.BROKER)
    with display.activity("Starting Kafka"):
        _report(broker.start(settings.home, machine.java_17(), path, port), as_json)


@app.command()
def stop(home: flags.Home = None, as_json: flags.AsJson = False) -> None:
    """Stop the embedded Kafka; its data stays."""
    from contract.settings import Settings
    from digitstream import broker

    settings = flags.loaded(Settings, locals())
    with display.activity("Stopping Kafka"):
        broker.stop(settings.home)
    _report(None, as_json)


@app.command()
def status(home: flags.Home = None, as_json: flags.AsJson = False) -> None:
    """Say whether the embedded Kafka runs, and where; exits with 1 if it does not."""
    from contract.settings import Settings
    from digitstream import broker

    found = broker.status(flags.loaded(Settings, locals()).home)
    _report(found, as_json)
    raise typer.Exit(0 if found is not None else 1)


def _report(found: Broker | None, as_json: bool) -> None:
    value: dict[str, Any] = {"running": found is not None, **(asdict(found) if found else {})}

    def sentence() -> str:
        if found is None:
            return "Kafka is not running."
        return f"Kafka runs at {found.bootstrap_servers} (process {found.pid}, log {found.log})."

    display.report(value, sentence, as_json)
