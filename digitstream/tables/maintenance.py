"""Maintains the tables: their figures, joining small files, and deleting old ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql.functions import col

from contract.errors import SettingsError, UsageError
from streaming.archive.place import Place
from streaming.archive.tables import Table

_MIB = 1 << 20
SMALL_BYTES = 128 * _MIB
"""Files of at least this size are not rewritten."""

_LARGEST_BYTES = 2 * SMALL_BYTES
_SAFE = timedelta(days=7)
_UNITS = {"d": "days", "h": "hours"}
_CONF = {
    "spark.databricks.delta.optimize.minFileSize": str(SMALL_BYTES),
    "spark.databricks.delta.optimize.maxFileSize": str(_LARGEST_BYTES),
    # Tasks that list folders; the default is ten thousand.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
    # The rule is ours, and known to --force.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
}

# Hadoop's client for S3 cannot refuse the second of two commits with the same number.
_NO_ARBITER = re.compile(r"s3[an]?:")


class Unsafe(UsageError):
    """The operation could delete files that are still needed."""


@dataclass(frozen=True)
class Figures:
    """A table's current size; `latest` is Kafka's time of its newest record, to the millisecond."""

    table: str
    rows: int
    files: int
    bytes: int
    latest: str | None


@dataclass(frozen=True)
class Compacted:
    """The number of a table's files before and after."""

    table: str
    files_before: int
    files_after: int


@dataclass(frozen=True)
class Vacuumed:
    """The files deleted from a table's folder, if no other program wrote there."""

    table: str
    files_deleted: int
    bytes_freed: int


def figures(place: Place) -> list[Figures]:
    """The figures of all tables, from Delta's logs alone. Raises NoTables."""
    return [_figures(place, table) for table in place.tables]


def _figures(place: Place, table: Table) -> Figures:
    time = "broker_time" if table.position[0] == "partition" else "record_time"
    totals = place.files(table).selectExpr(
        "cast(sum(get_json_object(stats, '$.numRecords')) AS BIGINT)",
        "count(*)",
        "sum(size)",
        f"max(get_json_object(stats, '$.maxValues.{time}'))",
    )
    rows, files, size, latest = totals.collect()[0]
    return Figures(table.name, rows or 0, files, size or 0, latest)


def compact(place: Place, *, force: bool = False) -> list[Compacted]:
    """Join the small files of each date that has several; no row changes.

    Others may read and archive meanwhile. Raises NoTables, and Unsafe if the tables are on S3,
    where the archive could commit at the same time, unless `force` says that it is not running.
    """
    if _NO_ARBITER.match(place.address) and not force:
        message = (
            f"{place.address} is on S3, where two programs that commit at the same time can "
            f"overwrite each other. Only one may write there. Stop the archive, then use --force."
        )
        raise Unsafe(message)
    _configure(place)
    done = []
    for table in place.tables:
        before = place.files(table).count()
        small = place.files(table).where(col("size") < SMALL_BYTES)
        for date, files in sorted(small.groupBy("date").count().collect()):
            if files > 1:
                with place.writing(table):
                    place.spark.sql(f"OPTIMIZE {place.named(table)} WHERE date = '{date}'")
        done.append(Compacted(table.name, before, place.files(table).count()))
    return done


def vacuum(place: Place, retain: str, *, force: bool = False) -> list[Vacuumed]:
    """Delete the files that no version of the tables from the last `retain` (7d, 36h) needs.

    Readers of older versions fail after that. Raises NoTables, SettingsError, and Unsafe if
    `retain` is below seven days while the archive is or may be running, unless `force` allows it.
    """
    retention = _duration(retain)
    _configure(place)
    tables = place.tables
    if retention < _SAFE and not force:
        with place.archiving(seconds=0) as alone:
            if place.folder is None or not alone:
                message = (
                    f"--retain {retain} is less than 7d, and an archive "
                    f"{'is running' if place.folder else 'may be running'} on {place.address}: "
                    f"readers of the tables could lose files meanwhile. Retain 7d, or stop the "
                    f"archive{'' if place.folder else ' and use --force'}."
                )
                raise Unsafe(message)
    return [_vacuum(place, table, retention) for table in tables]


def _vacuum(place: Place, table: Table, retention: timedelta) -> Vacuumed:
    hours = retention.total_seconds() / 3600
    with place.writing(table):
        files, size = place.size(table)
        place.spark.sql(f"VACUUM {place.named(table)} RETAIN {hours:g} HOURS")
        files_left, size_left = place.size(table)
    return Vacuumed(table.name, max(0, files - files_left), max(0, size - size_left))


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([dh])", text)
    if match is None:
        message = f"--retain is {text!r}, but must be days or hours, like 7d or 36h."
        raise SettingsError(message)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _configure(place: Place) -> None:
    for name, value in _CONF.items():
        place.spark.conf.set(name, value)
