"""`digitstream archive`, `tables` and `sql`: what went over the topics, as tables."""

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
    str, typer.Option(help="How long versions stay readable, in days or hours, like 7d or 36h.")
]
ForceCompact = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Compact tables on S3, which is refused otherwise: there the archive must not run "
        "meanwhile, or the two overwrite each other's commits.",
    ),
]
ForceVacuum = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Take a --retain below 7d even where an archive runs, or may run: whoever reads the "
        "tables meanwhile may lose files.",
    ),
]
Query = Annotated[str, typer.Argument(metavar='"SELECT ..."', help="A query in Spark's SQL.")]
Limit = Annotated[
    int, typer.Option(min=1, help="Rows that the table shows at most; JSON and CSV have all.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Answer as CSV.")]


@flags.settings(Archiving, *flags.KAFKA, *flags.SPARK, "prefix", *flags.own(Archiving))
def archive(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """Keep what goes over the topics in Delta tables, until stopped (Ctrl-C, SIGTERM)."""

    settings = flags.connected(given.load(Archiving))
    from digitstream.machine import needs

    jars = needs.delta()
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
            "It was stopped before all that is there was archived. Each record is archived once, "
            "however often this is called. Run the same command again for the rest."
        )
        raise ArchiveStopped(message)


@tables.command("list", short_help="List the tables with their figures.")
@flags.settings(History, *flags.HOME, *flags.SPARK, *flags.TABLES)
def list_(given: flags.Given, as_json: flags.AsJson = False) -> None:
    """List the tables: rows, files, bytes, Kafka's time of the newest record."""
    with _opened("Looking", given.load(History)) as place:
        from digitstream.tables.maintenance import listed

        _report(listed(place), as_json)


@tables.command()
@flags.settings(History, *flags.HOME, *flags.SPARK, *flags.TABLES)
def compact(given: flags.Given, force: ForceCompact = False, as_json: flags.AsJson = False) -> None:
    """Join small files, also while the archive runs."""
    with _opened("Compacting", given.load(History)) as place:
        from digitstream.tables.maintenance import compacted

        _report(compacted(place, force=force), as_json)


@tables.command()
@flags.settings(History, *flags.HOME, *flags.SPARK, *flags.TABLES)
def vacuum(
    given: flags.Given,
    retain: Retain = "7d",
    force: ForceVacuum = False,
    as_json: flags.AsJson = False,
) -> None:
    """Delete the files of versions older than --retain."""
    with _opened("Deleting", given.load(History)) as place:
        from digitstream.tables.maintenance import vacuumed

        _report(vacuumed(place, retain, force=force), as_json)


@flags.settings(Querying, *flags.HOME, *flags.SPARK, *flags.own(Querying))
def sql(
    given: flags.Given,
    query: Query,
    limit: Limit = 50,
    as_json: flags.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask the tables in Spark's SQL: readings, labels, scores, dead_letters, and answers."""

    settings = given.load(Querying)
    with _opened("Asking", settings) as place:
        from digitstream.machine.deadline import within
        from digitstream.tables.sql import asked, lines, views

        names = views(place)
        try:
            with within(place.spark, settings.query_timeout):
                answer = asked(place.spark, query, names)
                if as_csv:
                    terminal.write(_csv(answer, lines(answer, csv=True)))
                elif as_json:
                    terminal.write_json(lines(answer))
                else:
                    terminal.report({}, lambda: _shown(answer, limit), False)
        except BrokenPipeError:  # who reads has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _opened(doing: str, settings: History) -> Iterator[Place]:
    from digitstream.machine import needs

    with terminal.activity(doing), needs.tables(settings) as place:
        yield place


def _report(found: Sequence[Any], as_json: bool) -> None:
    rows = [asdict(each) for each in found]

    def picture() -> Grid:
        names = [name.replace("_", " ") for name in rows[0]]
        texts = [["-" if value is None else str(value) for value in row.values()] for row in rows]
        return Grid(names, texts, right=[name for name in names if name != "table"])

    terminal.report({"tables": rows}, picture, as_json)


def _shown(answer: DataFrame, limit: int) -> Grid:
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
