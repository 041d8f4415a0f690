"""`digitstream status`: how the scoring query does."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from digitstream import display, flags

if TYPE_CHECKING:
    from digitstream.status import Status

RUNNING = {True: "yes", False: "no", None: "not on this machine"}


def status(
    home: flags.Home = None,
    bootstrap_servers: flags.BootstrapServers = None,
    kafka_profile: flags.KafkaProfile = None,
    prefix: flags.Prefix = None,
    subscribe: flags.Subscribe = None,
    name: flags.Name = None,
    as_json: flags.AsJson = False,
) -> None:
    """Tell how the scoring query does and how far it is behind; exits with 1 if it does not run."""
    from datetime import UTC, datetime

    from contract.log import looking
    from contract.settings import Scoring
    from digitstream import consumer
    from digitstream import status as figures

    settings = flags.connected(flags.loaded(Scoring, locals()))
    with (
        display.activity("Looking"),
        looking(settings.kafka) as log,
        consumer.reading(settings.kafka) as reader,
    ):
        found = figures.status(reader, log, settings, datetime.now(UTC))
    display.report(_value(found), lambda: _table(found), as_json)
    raise typer.Exit(0 if found.runs else 1)


def _value(found: Status) -> dict[str, Any]:
    last = None if found.last is None else json.loads(found.last.message().value or b"")
    held = [asdict(each) for each in found.open_transactions]
    return {**vars(found), "last": last, "open_transactions": held}


def _table(found: Status) -> Table:
    rows = Table("query", found.query, title="Scoring", title_justify="left")
    never = found.running is None and found.last is None
    rows.add_row("runs", "no scorer ran yet" if never else RUNNING[found.running])
    rows.add_row("waiting by now", f"{found.waiting:,} readings (Kafka's group {found.group})")
    for transaction in found.open_transactions:
        rows.add_row("held back", Text(str(transaction)))
    if found.last is None:
        rows.add_row("last micro-batch", "none")
        return rows
    last, lag = found.last, found.last.lag
    took = last.durations_ms.get("triggerExecution", 0)
    rows.add_row(
        "last micro-batch",
        f"{last.rows:,} readings in {took:,} ms, {_time(found.seconds_ago, 'not known')} ago",
    )
    if last.model is not None:
        model = last.model
        rows.add_row("model", f"{model.name} {model.version} with {model.engine}")
    for step, opinion in last.opinions.items():
        rows.add_row(step, f"same class for {opinion.agreed} of {opinion.asked}")
    rows.add_row("lag then", f"{lag.readings:,} readings, {_time(lag.seconds, 'not known')}")
    rows.add_row("drained in", _time(lag.drain_s, "not at this pace"))
    rows.add_row("retention overtakes in", _time(lag.overtaken_s, "never, or not known"))
    return rows


def _time(seconds: float | None, otherwise: str) -> str:
    if seconds is None:
        return otherwise
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
