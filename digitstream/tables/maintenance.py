"""Looks after the tables: what they hold, fewer and larger files, no files that nobody needs."""

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
"""A file from this size on is not written anew."""

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

# Hadoop's client for S3 has no way to refuse the second of two commits of the same number.
_NO_ARBITER = re.compile(r"s3[an]?:")


class Unsafe(UsageError):
    """What could take files that somebody still needs."""


@dataclass(frozen=True)
class Figures:
    """What a table holds now; `latest` is Kafka's time of its newest record, to the millisecond."""

    table: str
    rows: int
    files: int
    bytes: int
    latest: str | None


@dataclass(frozen=True)
class Compacted:
    """The files of a table before and after."""

    table: str
    files_before: int
    files_after: int


@dataclass(frozen=True)
class Vacuumed:
    """What a table's folder lost, as far as nobody else wrote there."""

    table: str
    files_deleted: int
    bytes_freed: int


def listed(place: Place) -> list[Figures]:
    """The figures of all tables, from Delta's logs alone; raises NoTables."""
    return [_figures(place, table) for table in place.found]


def _figures(place: Place, table: Table) -> Figures:
    time = "broker_time" if table.position[0] == "partition" else "record_time"
    found = place.files(table).selectExpr(
        "cast(sum(get_json_object(stats, '$.numRecords')) AS BIGINT)",
        "count(*)",
        "sum(size)",
        f"max(get_json_object(stats, '$.maxValues.{time}'))",
    )
    rows, files, size, latest = found.collect()[0]
    return Figures(table.name, rows or 0, files, size or 0, latest)


def compacted(place: Place, *, force: bool = False) -> list[Compacted]:
    """Join the small files of each date of which there are several; no row changes.

    Others may read and archive meanwhile. Raises NoTables, and Unsafe where the tables are on S3
    and the archive could commit at the same moment, unless `force` says that it does not run.
    """
    if _NO_ARBITER.match(place.address) and not force:
        message = (
            f"{place.address} is on S3, where two programs that commit at the same moment can "
            f"overwrite each other. Only one may write there. Stop the archive, then say --force."
        )
        raise Unsafe(message)
    _configure(place)
    done = []
    for table in place.found:
        before = place.files(table).count()
        small = place.files(table).where(col("size") < SMALL_BYTES)
        for date, files in sorted(small.groupBy("date").count().collect()):
            if files > 1:
                with place.writing(table):
                    place.spark.sql(f"OPTIMIZE {place.named(table)} WHERE date = '{date}'")
        done.append(Compacted(table.name, before, place.files(table).count()))
    return done


def vacuumed(place: Place, retain: str, *, force: bool = False) -> list[Vacuumed]:
    """Delete the files that no version of the tables from the last `retain` (7d, 36h) needs.

    Readers of older versions fail then. Raises NoTables, SettingsError, and Unsafe if `retain` is
    less than seven days while the archive runs, or may run, unless `force` says that it is safe.
    """
    kept = _duration(retain)
    _configure(place)
    found = place.found
    if kept < _SAFE and not force:
        with place.archiving(seconds=0) as alone:
            if place.folder is None or not alone:
                message = (
                    f"--retain {retain} is less than 7d, and an archive "
                    f"{'runs' if place.folder else 'may run'} on {place.address}: who reads the "
                    f"tables meanwhile could lose files. Retain 7d, or stop the archive"
                    f"{'' if place.folder else ' and say --force'}."
                )
                raise Unsafe(message)
    return [_vacuumed(place, table, kept) for table in found]


def _vacuumed(place: Place, table: Table, kept: timedelta) -> Vacuumed:
    hours = kept.total_seconds() / 3600
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
