"""Where the tables lie, how they are made, and who may write them."""

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
from streaming.spark.locks import locked

TOPIC, TOPIC_ID = "digitstream.topic", "digitstream.topic.id"
READINGS_ID = "digitstream.readings.id"
"""What a table was made for. Answers name readings by their place, so these have a topic, too."""

CHECKPOINT = "_checkpoint"
"""The folder in a table's own where its query keeps how far it got."""

_LOG = "_delta_log"
_LOCK_SECONDS = 3600.0


class TableBusy(StateError):
    """Another process writes the table, or archives into it."""

    retriable = True


class NoTables(StateError):
    """There are no tables yet."""


def property_of(topic_id: str | None) -> str:
    """A topic's id as a table's property has it."""
    return str(None if topic_id is None else uuid_of(topic_id))


def local_folder(address: str) -> Path | None:
    """The folder on this machine's disk that an address names; None if it is elsewhere."""
    scheme, _, path = address.partition(":")
    return Path("/" + path.lstrip("/")) if scheme == "file" else None


def check_local(address: str) -> None:
    """Raise NoTables if the address is on this machine's disk and has no table; asks no Spark."""
    folder = local_folder(address)
    if folder is not None and not any((folder / table.name / _LOG).is_dir() for table in TABLES):
        raise absent(address)


def absent(address: str) -> NoTables:
    """The error for an address without tables."""
    return NoTables(
        f"There are no tables at {address}. The archive makes them. Run `digitstream archive`, or "
        f"say with --tables where they are."
    )


@dataclass(frozen=True)
class Place:
    """The folder of the tables, by the address that Hadoop knows it by."""

    spark: SparkSession
    address: str

    def of(self, table: Table) -> str:
        """A table's own folder."""
        return f"{self.address}/{table.name}"

    def checkpoint(self, table: Table) -> str:
        """How far the table's query got: inside the table, so that neither is there without the
        other. Delta leaves names that begin so alone.
        """
        return f"{self.of(table)}/{CHECKPOINT}"

    def named(self, table: Table) -> str:
        """The table as SQL names it."""
        return f"delta.`{self.of(table).replace('`', '``')}`"

    def read(self, table: Table) -> DataFrame:
        """The table as it is now."""
        return self.spark.read.format("delta").load(self.of(table))

    def existing(self, table: Table) -> DataFrame:
        """The table as it is now; raises NoTables if it is not there."""
        if table not in self.found:
            raise absent(self.address)
        return self.read(table)

    @property
    def found(self) -> tuple[Table, ...]:
        """The tables that are there; raises NoTables if none is."""
        there = tuple(table for table in TABLES if self.has(table))
        if not there:
            raise absent(self.address)
        return there

    def has(self, table: Table) -> bool:
        """Whether the table is there."""
        return self._exists(f"{self.of(table)}/{_LOG}")

    def has_begun(self, table: Table) -> bool:
        """Whether its query has begun."""
        return self._exists(f"{self.checkpoint(table)}/metadata")

    def make(self, table: Table, properties: Mapping[str, str]) -> None:
        """Make the table with these properties, unless it is there."""
        listed = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self.named(table)} ({table.schema}) USING delta "
            f"PARTITIONED BY (date) TBLPROPERTIES ({listed})"
        )

    def properties(self, table: Table) -> dict[str, str]:
        """What the table was made with."""
        configuration = self._snapshot(table).metadata().configuration()
        pairs: Any = self.spark._jvm.scala.collection.JavaConverters  # type: ignore[union-attr]
        return dict(pairs.mapAsJavaMap(configuration))

    def readings_id(self, table: Table) -> str | None:
        """The id of the topic of readings that a table was made for, as Kafka's tools print it."""
        id = self.properties(table).get(READINGS_ID)
        if id in (None, property_of(None)):
            return None
        try:
            return topic_id_of(uuid.UUID(id))
        except ValueError as exc:
            message = (
                f"The table {self.of(table)} has {id!r:.80} for {READINGS_ID}, which must be the "
                f"id of a topic. Only `digitstream archive` may set it. Find who else did."
            )
            raise TablesUnreadable(message) from exc

    def files(self, table: Table) -> DataFrame:
        """The files of the table as it is now, as Delta's log has them: path, date, size, stats
        (JSON), of which no data is read.
        """
        files = DataFrame(self._snapshot(table).allFiles().toDF(), self.spark)
        return files.selectExpr("path", "partitionValues['date'] AS date", "size", "stats")

    def size(self, table: Table) -> tuple[int, int]:
        """Files and bytes in the table's folder, those of older versions and the log included."""
        path, files = self._path(self.of(table))
        summary = files.getContentSummary(path)
        return int(summary.getFileCount()), int(summary.getLength())

    def version(self, table: Table) -> int:
        """The number of the table's last commit."""
        return int(self._snapshot(table).version())

    def added(self, table: Table, since: int) -> int:
        """The rows that the commits after that number added."""
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
        """The folder on this machine's disk; None if it is elsewhere."""
        return local_folder(self.address)

    @contextmanager
    def writing(self, table: Table) -> Iterator[None]:
        """Be the only one who commits to the table while the body runs; waits for others.

        On this machine's disk two commits of the same number may both succeed and one of them be
        lost, for rename(2) replaces what is there. Hadoop's other file systems refuse the second.
        """
        if self.folder is None:
            yield
            return
        with locked(self.spark, self.folder / f"{table.name}.lock", sleep, _LOCK_SECONDS) as got:
            if not got:
                message = (
                    f"Another process has been writing {self.of(table)} for an hour. One at a time "
                    f"may. Wait for it or stop it, then try again."
                )
                raise TableBusy(message)
            yield

    @contextmanager
    def archiving(self, seconds: float | None = None) -> Iterator[bool]:
        """Be the only one who archives here while the body runs; False if another one does."""
        if self.folder is None:
            yield True
            return
        waiting = {} if seconds is None else {"seconds": seconds}
        with locked(self.spark, self.folder / "archive.lock", sleep, **waiting) as got:
            yield got

    def _snapshot(self, table: Table) -> Any:
        jvm: Any = self.spark._jvm
        delta_log = jvm.org.apache.spark.sql.delta.DeltaLog
        return delta_log.forTableWithSnapshot(self.spark._jsparkSession, self.of(table))._2()

    def _exists(self, address: str) -> bool:
        path, files = self._path(address)
        return bool(files.exists(path))

    def _path(self, address: str) -> tuple[Any, Any]:
        """An address as Hadoop's, and the file system where it is."""
        jvm: Any = self.spark._jvm
        java: Any = self.spark._jsparkSession
        path = jvm.org.apache.hadoop.fs.Path(address)
        return path, path.getFileSystem(java.sessionState().newHadoopConf())
