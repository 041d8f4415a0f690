"""`digitstream archive`, `tables` and `sql`: the topics as tables."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.quantities import quantity
from contract.settings.programs import Archiving, History, Querying
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from streaming.archive.place import Place

tables = typer.Typer(help="The tables that `archive` writes.", no_args_is_help=True)

Retain = Annotated[
    str, typer.Option(help="How long to keep old versions readable, like 7d or 36h.")
]
ForceCompact = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Compact tables on S3 too. The archive must not run meanwhile: on S3 the two would "
        "overwrite each other's commits.",
    ),
]
ForceVacuum = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Allow a --retain below 7d even if an archive may be running. Readers of the tables "
        "may lose files meanwhile.",
    ),
]
Query = Annotated[str, typer.Argument(metavar='"SELECT ..."', help="A query in Spark's SQL.")]
Limit = Annotated[
    int, typer.Option(min=1, help="Most rows to show in the table; JSON and CSV have all.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Report as CSV.")]


@flags.settings(Archiving, *flags.KAFKA, *flags.SPARK, "prefix", *flags.specific_to(Archiving))
def archive(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """Archive the topics in Delta tables, until stopped (Ctrl-C, SIGTERM)."""

    settings = flags.with_broker(inputs.load(Archiving))
    from digitstream.machine import needs

    jars = needs.fetch_delta()
    from streaming.archive import archiving
    from streaming.archive.failures import ArchiveStopped

    stop = threading.Event()
    with terminal.activity(f"Archiving {settings.prefix}.* to {settings.address}") as news:

        def progress(rows: int) -> None:
            if settings.available_now:
                news(f"{quantity(rows, 'row', form=',')} so far")

        summary = archiving.run(settings, jars, stop=stop, tell=terminal.say, progress=progress)
    added = ", ".join(f"{rows} to {name}" for name, rows in asdict(summary).items())
    terminal.report(asdict(summary), lambda: f"Rows added to the tables: {added}.", as_json)
    if settings.available_now and stop.is_set():
        message = (
            "The archive was stopped before everything was archived. Each record is archived once, "
            "however often the command runs. Run it again for the rest."
        )
        raise ArchiveStopped(message)


@tables.command("list", short_help="List the tables with their figures.")
@flags.settings(History, *flags.HOME, *flags.SPARK, *flags.TABLES)
def list_(inputs: flags.Inputs, as_json: flags.AsJson = False) -> None:
    """List the tables: rows, files, bytes, and Kafka's time of the newest record."""
    with _open_tables("Looking", inputs.load(History)) as place:
        from digitstream.tables.maintenance import figures

        _report(figures(place), as_json)


@tables.command()
@flags.settings(History, *flags.HOME, *flags.SPARK, *flags.TABLES)
def compact(
    inputs: flags.Inputs, force: ForceCompact = False, as_json: flags.AsJson = False
) -> None:
    """Join small files, even while the archive runs."""
    with _open_tables("Compacting", inputs.load(History)) as place:
        from digitstream.tables.maintenance import compact

        _report(compact(place, force=force), as_json)


@tables.command()
@flags.settings(History, *flags.HOME, *flags.SPARK, *flags.TABLES)
def vacuum(
    inputs: flags.Inputs,
    retain: Retain = "7d",
    force: ForceVacuum = False,
    as_json: flags.AsJson = False,
) -> None:
    """Delete the files of versions older than --retain."""
    with _open_tables("Deleting", inputs.load(History)) as place:
        from digitstream.tables.maintenance import vacuum

        _report(vacuum(place, retain, force=force), as_json)


@flags.settings(Querying, *flags.HOME, *flags.SPARK, *flags.specific_to(Querying))
def sql(
    inputs: flags.Inputs,
    query: Query,
    limit: Limit = 50,
    as_json: flags.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Query the tables in Spark SQL: readings, labels, scores, dead_letters, and answers."""

    settings = inputs.load(Querying)
    with _open_tables("Asking", settings) as place:
        from digitstream.machine.deadline import time_limit
        from digitstream.tables.sql import ask, lines, register_views

        names = register_views(place)
        try:
            with time_limit(place.spark, settings.query_timeout):
                answer = ask(place.spark, query, names)
                if as_csv:
                    terminal.write(_csv(answer, lines(answer, csv=True)))
                elif as_json:
                    terminal.write_json(lines(answer))
                else:
                    terminal.report({}, lambda: _answer_table(answer, limit), False)
        except BrokenPipeError:  # who reads has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _open_tables(doing: str, settings: History) -> Iterator[Place]:
    from digitstream.machine import needs

    with terminal.activity(doing), needs.open_tables(settings) as place:
        yield place


def _report(tables: Sequence[Any], as_json: bool) -> None:
    rows = [asdict(table) for table in tables]

    def picture() -> Grid:
        names = [name.replace("_", " ") for name in rows[0]]
        texts = [["-" if value is None else str(value) for value in row.values()] for row in rows]
        return Grid(names, texts, right=[name for name in names if name != "table"])

    terminal.report({"tables": rows}, picture, as_json)


def _answer_table(answer: DataFrame, limit: int) -> Grid:
    from digitstream.tables.sql import cells

    rows, more = cells(answer, limit)
    note = f"The first {limit}; --limit shows more." if more else ""
    return Grid(answer.columns, rows, note=note)


def _csv(answer: DataFrame, rows: Iterator[str]) -> Iterator[str]:
    """Rows of CSV under their header."""
    import csv
    import io

    header = io.StringIO()
    csv.writer(header, lineterminator="").writerow(answer.columns)
    yield header.getvalue()
    yield from rows
