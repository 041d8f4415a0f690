"""`digitstream reconcile` and `digitstream dead-letters`: what became of the readings."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.table import Table

from digitstream import display, flags

if TYPE_CHECKING:
    from digitstream.dead_letters import Listing
    from digitstream.reconcile import Reconciliation

COUNTS = ("produced", "scored", "dead_lettered", "in_flight", "missing", "duplicates")

dead_letters = typer.Typer(help="Readings that could not be scored.", no_args_is_help=True)

Last = Annotated[int, typer.Option(min=0, help="How many of the newest are listed in full.")]


class Origin(StrEnum):
    """Where readings and answers are counted."""

    TOPICS = "topics"
    TABLES = "tables"


From = Annotated[Origin, typer.Option("--from", help="Count in Kafka, or in the archive.")]


def reconcile(
    home: flags.Home = None,
    bootstrap_servers: flags.BootstrapServers = None,
    kafka_profile: flags.KafkaProfile = None,
    prefix: flags.Prefix = None,
    origin: From = Origin.TOPICS,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    as_json: flags.AsJson = False,
) -> None:
    """Account for every reading by partition and offset; exits with 1 if one is missing."""
    from contract.settings import History, Scoring
    from digitstream import checkpoint, consumer
    from digitstream import reconcile as accounts

    given = locals()
    settings = flags.loaded(Scoring, given)
    folder = settings.home / "checkpoints" / settings.name
    stands = checkpoint.committed(folder, settings.topics.readings)
    if origin is Origin.TABLES:
        from digitstream import archived, machine

        with (
            display.activity("Counting"),
            machine.tables(flags.loaded(History, given)) as place,
        ):
            found = archived.reconcile(place, settings.topics.readings, stands)
    else:
        settings = flags.connected(settings)
        with display.activity("Counting"), consumer.reading(settings.kafka) as reader:
            found = accounts.reconcile(reader, settings.topics, committed=stands)
    totals = {count: found.total(count) for count in COUNTS}
    value = {"complete": found.complete, **totals, **asdict(found)}
    display.report(value, lambda: table(found), as_json)
    raise typer.Exit(0 if found.complete else 1)


@dead_letters.command("list")
def list_(
    home: flags.Home = None,
    bootstrap_servers: flags.BootstrapServers = None,
    kafka_profile: flags.KafkaProfile = None,
    prefix: flags.Prefix = None,
    last: Last = 20,
    as_json: flags.AsJson = False,
) -> None:
    """List dead letters by stage and reason, and the newest ones in full."""
    from contract.settings import Settings
    from digitstream import consumer
    from digitstream.dead_letters import listing

    settings = flags.connected(flags.loaded(Settings, locals()))
    with display.activity("Reading"), consumer.reading(settings.kafka) as reader:
        found = listing(reader, settings.topics, last)
    display.report(asdict(found), lambda: _letters(found), as_json)


def table(found: Reconciliation) -> Table:
    """A reconciliation for a person: a row each partition, one for all, and the gaps."""
    rows = Table("partition", title=f"Readings of {found.topic}", title_justify="left")
    for count in COUNTS:
        rows.add_column(count.replace("_", " "), justify="right")
    rows.add_column("gaps")
    for part in found.partitions:
        gaps = ", ".join(f"{first}-{last}" for first, last in part.gaps[:5])
        more = " ..." if len(part.gaps) > 5 else ""
        counts = (str(getattr(part, count)) for count in COUNTS)
        rows.add_row(str(part.partition), *counts, gaps + more)
    rows.add_section()
    rows.add_row("all", *(str(found.total(count)) for count in COUNTS), "")
    return rows


def _letters(found: Listing) -> Group:
    counts = Table("stage", "reason", title=f"{found.total} dead letters", title_justify="left")
    counts.add_column("count", justify="right")
    for stage, reason, count in found.by_reason:
        counts.add_row(stage, reason, str(count))
    newest = Table(
        "time", "reading", "key", "bytes", "reason", title="The newest", title_justify="left"
    )
    for letter in found.letters:
        reading = f"{letter.topic}/{letter.partition}/{letter.offset}"
        size = "-" if letter.bytes is None else str(letter.bytes)
        newest.add_row(letter.time, reading, letter.key or "-", size, letter.reason)
    return Group(counts, newest)
