"""`digitstream archive`, `tables` and `sql`: what went over the topics, as tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from digitstream import display, flags

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from streaming.archive.place import Place

tables = typer.Typer(help="The tables of the archive.", no_args_is_help=True)

Retain = Annotated[str, typer.Option(help="How far back versions stay readable: 7d, 36h.")]
Force = Annotated[bool, typer.Option("--force", help="Although it is not known to be safe.")]
Query = Annotated[str, typer.Argument(metavar='"SELECT ..."', help="A query in Spark's SQL.")]
Limit = Annotated[int, typer.Option(min=1, help="Rows of the table at most; not of JSON and CSV.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Answer as CSV.")]
Trigger = Annotated[
    str | None, typer.Option(help="Time from one commit to the next. [default: 10s]")
]
BatchRecords = Annotated[int | None, typer.Option(help="Records of a topic in a commit at most.")]
AvailableNow = Annotated[
    bool | None, typer.Option("--available-now", help="Archive what is there, then end.")
]


def archive(
    home: flags.Home = None,
    bootstrap_servers: flags.BootstrapServers = None,
    kafka_profile: flags.KafkaProfile = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    prefix: flags.Prefix = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    trigger: Trigger = None,
    batch_records: BatchRecords = None,
    available_now: AvailableNow = None,
    as_json: flags.AsJson = False,
) -> None:
    """Keep what goes over the topics in Delta tables, until stopped (Ctrl-C, SIGTERM)."""
    from contract.settings import Archiving

    settings = flags.connected(flags.loaded(Archiving, locals()))
    from digitstream import machine

    jars = machine.delta()
    from streaming.archive import archiving

    with display.activity(f"Archiving {settings.prefix}.* to {settings.address}"):
        summary = archiving.run(settings, jars)
    added = ", ".join(f"{rows} {name.replace('_', ' ')}" for name, rows in asdict(summary).items())
    display.report(asdict(summary), lambda: f"Archived: {added}.", as_json)


@tables.command("list")
def list_(
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    as_json: flags.AsJson = False,
) -> None:
    """List the tables: rows, files, bytes, Kafka's time of the newest record."""
    with _opened("Looking", locals()) as place:
        from digitstream.tables import listed

        _report(listed(place), as_json)


@tables.command()
def compact(
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    force: Force = False,
    as_json: flags.AsJson = False,
) -> None:
    """Join small files, also while the archive runs."""
    with _opened("Compacting", locals()) as place:
        from digitstream.tables import compacted

        _report(compacted(place, force=force), as_json)


@tables.command()
def vacuum(
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    retain: Retain = "7d",
    force: Force = False,
    as_json: flags.AsJson = False,
) -> None:
    """Delete the files of versions older than --retain."""
    with _opened("Deleting", locals()) as place:
        from digitstream.tables import vacuumed

        _report(vacuumed(place, retain, force=force), as_json)


def sql(
    query: Query,
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    limit: Limit = 50,
    as_json: flags.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask the tables in Spark's SQL: readings, labels, scores, dead_letters, and answers."""
    with _opened("Asking", locals()) as place:
        from digitstream.sql import asked, lines, views

        views(place)
        answer = asked(place.spark, query)
        try:
            if as_csv or as_json:
                written = lines(answer, csv=as_csv)
                sys.stdout.writelines(_csv(answer, written) if as_csv else _array(written))
            else:
                display.report({}, lambda: _shown(answer, limit), False)
            sys.stdout.flush()
        except BrokenPipeError:  # who reads has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _opened(doing: str, arguments: dict[str, Any]) -> Iterator[Place]:
    from contract.settings import History
    from digitstream import machine

    settings = flags.loaded(History, arguments)
    with display.activity(doing), machine.tables(settings) as place:
        yield place


def _report(found: Sequence[Any], as_json: bool) -> None:
    rows = [asdict(each) for each in found]

    def picture() -> Table:
        shown = Table()
        for name in rows[0]:
            shown.add_column(name.replace("_", " "), justify="left" if name == "table" else "right")
        for row in rows:
            shown.add_row(*("-" if value is None else str(value) for value in row.values()))
        return shown

    display.report({"tables": rows}, picture, as_json)


def _shown(answer: DataFrame, limit: int) -> Table:
    from digitstream.sql import cells

    rows, more = cells(answer, limit)
    shown = Table(caption=f"The first {limit}; --limit shows more." if more else None)
    for name in answer.columns:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    return shown


def _array(written: Iterator[str]) -> Iterator[str]:
    """JSON objects as an array, one a line."""
    before = "[\n"
    for line in written:
        yield f"{before}{line}"
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _csv(answer: DataFrame, written: Iterator[str]) -> Iterator[str]:
    """Lines under their header."""
    import csv
    import io

    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(answer.columns)
    yield header.getvalue()
    for line in written:
        yield f"{line}\n"
