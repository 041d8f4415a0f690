"""`digitstream status`: the state of the scoring query."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from contract.quantities import quantity
from contract.settings.programs import Scoring
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from contract.wire.progress import Progress
    from digitstream.health.status import Status

SILENT_SECONDS = 5.0
"""How long the registry may take to answer before the report mentions it."""

RUNNING = {True: "yes", False: "no", None: "not on this machine"}


@flags.settings(Scoring, *flags.KAFKA, "prefix", "subscribe", "name")
def status(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Show whether the scoring query runs and how far it is behind; exits with 1 if it is down."""
    from datetime import UTC, datetime

    from contract.kafka.offsets import open_log
    from contract.kafka.topics import check_topics_exist
    from digitstream.accounts import topic_reader
    from digitstream.health import status as figures

    settings = flags.with_broker(inputs.load(Scoring))
    if settings.subscribe:
        check_topics_exist(settings.kafka, settings.input_topics)
    with (
        terminal.activity("Looking"),
        open_log(settings.kafka) as log,
        topic_reader.open_reader(settings.kafka) as reader,
    ):
        state = figures.status(reader, log, settings, datetime.now(UTC))
    terminal.report(_value(state), lambda: _table(state), as_json)
    raise typer.Exit(0 if state.is_up else 1)


def _value(state: Status) -> dict[str, Any]:
    last = None if state.last is None else json.loads(state.last.message().value or b"")
    transactions = [asdict(transaction) for transaction in state.open_transactions]
    return {**vars(state), "last": last, "open_transactions": transactions}


def _table(state: Status) -> Grid:
    never = state.running is None and state.last is None
    rows = [
        ("runs", "no scorer ran yet" if never else RUNNING[state.running]),
        ("waiting now", f"{_readings(state.waiting)} (Kafka's group {state.group})"),
    ]
    if state.unread:
        rows.append(("does not read", f"{', '.join(state.unread)}, but {', '.join(state.reads)}"))
    rows += [("held back", str(transaction)) for transaction in state.open_transactions]
    rows += [("last micro-batch", "none")] if state.last is None else _last(state, state.last)
    return Grid(("query", state.query), rows, title="Scoring")


def _last(status: Status, last: Progress) -> list[tuple[str, str]]:
    """The figures of the query's last micro-batch."""
    lag, model = last.lag, last.model
    took = last.durations_ms.get("triggerExecution", 0)
    ago = _time(status.seconds_ago, "not known")
    rows = [("last micro-batch", f"{_readings(last.rows)} in {took:,} ms, {ago} ago")]
    if model is not None:
        rows.append(("model", f"{model.name} {model.version} with {model.engine}"))
    if last.registry_silent_s >= SILENT_SECONDS:
        silent = _time(last.registry_silent_s, "")
        rows.append(("registry of models", f"no answer for {silent}: no version takes over"))
    for step, opinion in last.opinions.items():
        rows.append((step, f"same class for {opinion.agreed} of {opinion.asked}"))
    return [
        *rows,
        ("lag then", f"{_readings(lag.readings)}, {_time(lag.seconds, 'not known')}"),
        ("backlog cleared in", _time(lag.drain_s, "not at this pace")),
        ("retention overtakes", _time(lag.overtaken_s, "never, or not known")),
    ]


def _readings(count: int) -> str:
    return quantity(count, "reading", form=",")


def _time(seconds: float | None, otherwise: str) -> str:
    if seconds is None:
        return otherwise
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
