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
from digitstream import flags, terminal
from digitstream.grid import Grid

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from contract.settings.programs import History
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
QueryTimeout = Annotated[
    str | None, typer.Option(help="Time that the query may take, like 30s or 1h. [default: 10m]")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Answer as CSV.")]
Trigger = Annotated[
    str | None, typer.Option(help="Time from one commit to the next. [default: 10s]")
]
BatchRecords = Annotated[
    int | None, typer.Option(help="Records of a topic in a commit at most. [default: 100000]")
]
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
    from contract.settings.programs import Archiving

    settings = flags.connected(flags.loaded(Archiving, locals()))
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
def list_(
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    as_json: flags.AsJson = False,
) -> None:
    """List the tables: rows, files, bytes, Kafka's time of the newest record."""
    with _opened("Looking", _history(locals())) as place:
        from digitstream.tables.maintenance import listed

        _report(listed(place), as_json)


@tables.command()
def compact(
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    force: ForceCompact = False,
    as_json: flags.AsJson = False,
) -> None:
    """Join small files, also while the archive runs."""
    with _opened("Compacting", _history(locals())) as place:
        from digitstream.tables.maintenance import compacted

        _report(compacted(place, force=force), as_json)


@tables.command()
def vacuum(
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    retain: Retain = "7d",
    force: ForceVacuum = False,
    as_json: flags.AsJson = False,
) -> None:
    """Delete the files of versions older than --retain."""
    with _opened("Deleting", _history(locals())) as place:
        from digitstream.tables.maintenance import vacuumed

        _report(vacuumed(place, retain, force=force), as_json)


def sql(
    query: Query,
    home: flags.Home = None,
    master: flags.Master = None,
    spark_secret_file: flags.SparkSecretFile = None,
    tables: flags.Tables = None,
    packages: flags.Packages = None,
    query_timeout: QueryTimeout = None,
    limit: Limit = 50,
    as_json: flags.AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask the tables in Spark's SQL: readings, labels, scores, dead_letters, and answers."""
    from contract.settings.programs import Asking

    settings = flags.loaded(Asking, locals())
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


def _history(arguments: dict[str, Any]) -> History:
    from contract.settings.programs import History

    return flags.loaded(History, arguments)


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
