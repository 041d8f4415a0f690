"""The location of the tables: creating, reading and locking them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from contract.errors import StateError
from contract.wire.places import topic_id_of, uuid_of
from streaming.archive.failures import TablesUnreadable
from streaming.archive.tables import TABLES, Table
from streaming.spark.locks import hold_lock

TOPIC, TOPIC_ID = "digitstream.topic", "digitstream.topic.id"
READINGS_ID = "digitstream.readings.id"
"""Properties that say which topic a table was created for. Answers name the place of their reading,
so a table of answers also has the id of the topic of readings."""

CHECKPOINT = "_checkpoint"
"""The folder inside a table's folder where its query keeps its progress."""

_LOG = "_delta_log"
_LOCK_SECONDS = 3600.0


class TableBusy(StateError):
    """Another process writes to the table or archives into it."""

    retriable = True


class NoTables(StateError):
    """There are no tables yet."""


def property_of(topic_id: str | None) -> str:
    """A topic's id in the form of a table property."""
    return str(None if topic_id is None else uuid_of(topic_id))


def local_folder(address: str) -> Path | None:
    """The folder on this machine's disk that an address names; None for any other file system."""
    scheme, _, path = address.partition(":")
    return Path("/" + path.lstrip("/")) if scheme == "file" else None


def check_local(address: str) -> None:
    """Raise NoTables if the address is on this machine's disk and has no table; needs no Spark."""
    folder = local_folder(address)
    if folder is not None and not any((folder / table.name / _LOG).is_dir() for table in TABLES):
        raise absent(address)


def absent(address: str) -> NoTables:
    """The error for an address without tables."""
    return NoTables(
        f"There are no tables at {address}. The archive creates them. Run `digitstream archive`, "
        f"or set --tables to where they are."
    )


@dataclass(frozen=True)
class Place:
    """The folder of the tables, by its Hadoop address."""

    spark: SparkSession
    address: str

    def of(self, table: Table) -> str:
        """The folder of a table."""
        return f"{self.address}/{table.name}"

    def checkpoint(self, table: Table) -> str:
        """The checkpoint of the table's query. It is inside the table's folder, so that neither
        exists without the other; Delta ignores names that start with an underscore.
        """
        return f"{self.of(table)}/{CHECKPOINT}"

    def named(self, table: Table) -> str:
        """The table's name in SQL."""
        return f"delta.`{self.of(table).replace('`', '``')}`"

    def read(self, table: Table) -> DataFrame:
        """The current table."""
        return self.spark.read.format("delta").load(self.of(table))

    def existing(self, table: Table) -> DataFrame:
        """The current table; raises NoTables if it does not exist."""
        if table not in self.tables:
            raise absent(self.address)
        return self.read(table)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that exist; raises NoTables if none does."""
        tables = tuple(table for table in TABLES if self.has(table))
        if not tables:
            raise absent(self.address)
        return tables

    def has(self, table: Table) -> bool:
        """Whether the table exists."""
        return self._exists(f"{self.of(table)}/{_LOG}")

    def has_begun(self, table: Table) -> bool:
        """Whether the table's query has ever been started."""
        return self._exists(f"{self.checkpoint(table)}/metadata")

    def make(self, table: Table, properties: Mapping[str, str]) -> None:
        """Create the table with these properties unless it exists."""
        listed = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self.named(table)} ({table.schema}) USING delta "
            f"PARTITIONED BY (date) TBLPROPERTIES ({listed})"
        )

    def properties(self, table: Table) -> dict[str, str]:
        """The table's properties."""
        configuration = self._snapshot(table).metadata().configuration()
        pairs: Any = self.spark._jvm.scala.collection.JavaConverters  # type: ignore[union-attr]
        return dict(pairs.mapAsJavaMap(configuration))

    def readings_id(self, table: Table) -> str | None:
        """The id of the topic of readings that a table was created for, as Kafka's tools print it.

        Raises TablesUnreadable if the property is not a topic id.
        """
        id = self.properties(table).get(READINGS_ID)
        if id in (None, property_of(None)):
            return None
        try:
            return topic_id_of(uuid.UUID(id))
        except ValueError as exc:
            message = (
                f"The table {self.of(table)} has {id!r:.80} for {READINGS_ID}, which must be the "
                f"id of a topic. Only `digitstream archive` may set it. Find out what else did."
            )
            raise TablesUnreadable(message) from exc

    def files(self, table: Table) -> DataFrame:
        """The files of the current table from Delta's log: path, date, size, stats (JSON). Reads no
        data.
        """
        files = DataFrame(self._snapshot(table).allFiles().toDF(), self.spark)
        return files.selectExpr("path", "partitionValues['date'] AS date", "size", "stats")

    def size(self, table: Table) -> tuple[int, int]:
        """Files and bytes in the table's folder, including older versions and the log."""
        path, files = self._path(self.of(table))
        summary = files.getContentSummary(path)
        return int(summary.getFileCount()), int(summary.getLength())

    def version(self, table: Table) -> int:
        """The number of the table's last commit."""
        return int(self._snapshot(table).version())

    def is_empty(self, table: Table) -> bool:
        """Whether the log's last checksum says that the table has no files; False if the last
        commit has no checksum.
        """
        checksum = self._snapshot(table).checksumOpt()
        return bool(checksum.isDefined()) and int(checksum.get().numFiles()) == 0

    def added(self, table: Table, since: int) -> int:
        """The number of rows added by the commits after number `since`."""
        log = self._snapshot(table).deltaLog()
        jvm: Any = self.spark._jvm
        rows = 0
        for number in range(since + 1, self.version(table) + 1):
            path = jvm.org.apache.hadoop.fs.Path(log.logPath(), f"{number:020}.json")
            lines = log.store().read(path, log.newDeltaHadoopConf())
            commit = json.loads(lines.head()).get("commitInfo", {})
            if commit.get("operation") == "WRITE":
                rows += int(commit["operationMetrics"]["numOutputRows"])
        return rows

    @property
    def folder(self) -> Path | None:
        """The folder on this machine's disk; None for any other file system."""
        return local_folder(self.address)

    @contextmanager
    def writing(self, table: Table) -> Iterator[None]:
        """Hold the table's write lock while the body runs; waits for other writers.

        On this machine's disk two commits with the same number could both succeed and one of them
        be lost, because rename(2) replaces files. Hadoop's other file systems refuse the second.
        Raises TableBusy after an hour.
        """
        if self.folder is None:
            yield
            return
        file = self.folder / f"{table.name}.lock"
        with hold_lock(self.spark, file, sleep, _LOCK_SECONDS) as is_held:
            if not is_held:
                message = (
                    f"Another process has been writing to {self.of(table)} for an hour. Only one "
                    f"may write at a time. Wait for it or stop it, then try again."
                )
                raise TableBusy(message)
            yield

    @contextmanager
    def archiving(self, seconds: float | None = None) -> Iterator[bool]:
        """Hold the archive's lock while the body runs; yields False if another process holds it."""
        if self.folder is None:
            yield True
            return
        waiting = {} if seconds is None else {"seconds": seconds}
        with hold_lock(self.spark, self.folder / "archive.lock", sleep, **waiting) as is_held:
            yield is_held

    def _snapshot(self, table: Table) -> Any:
        jvm: Any = self.spark._jvm
        delta_log = jvm.org.apache.spark.sql.delta.DeltaLog
        return delta_log.forTableWithSnapshot(self.spark._jsparkSession, self.of(table))._2()

    def _exists(self, address: str) -> bool:
        path, files = self._path(address)
        return bool(files.exists(path))

    def _path(self, address: str) -> tuple[Any, Any]:
        """An address as a Hadoop path, and its file system."""
        jvm: Any = self.spark._jvm
        java: Any = self.spark._jsparkSession
        path = jvm.org.apache.hadoop.fs.Path(address)
        return path, path.getFileSystem(java.sessionState().newHadoopConf())
