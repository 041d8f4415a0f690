"""The Spark session that reads and writes Delta tables, without SystemDS and Python workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from keras2dml.systemds.network import launch
from streaming.spark.local_files import local_files
from streaming.spark.loggers import quieten

_LOG = Path(__file__).parents[2] / "keras2dml" / "log4j2.properties"

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
"""Settings of every session that reads Delta tables."""

_CONF = {
    **DELTA,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A timestamp type that every Parquet reader knows; zstd is a third smaller than Snappy.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    # A device's clock may show any year: written unchanged, in the calendar that readers expect.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    # A log of a few files does not need fifty tasks.
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.debug.maxToStringFields": "1000",
    "spark.locality.wait": "0",
    "spark.driver.memory": "2g",
}

# Fewer tasks have less overhead where a few cores run them all.
_LOCAL = {
    "spark.sql.shuffle.partitions": "4",
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
}

# Quick compilation only: half the time until the first answer. A JVM without memory exits at once,
# since a regular shutdown takes long and may never finish.
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError"


def session(
    name: str,
    master: str,
    jars: Sequence[Path],
    packages: str = "",
    secret_file: Path | None = None,
    *,
    quick: bool = False,
) -> SparkSession:
    """A SparkSession on `master` with these jars, Delta's among them.

    `packages` are comma-separated Maven coordinates of whatever else is needed to reach the tables;
    `secret_file` holds the secret of the master's cluster (`keras2dml.systemds.network`). `quick`
    is for a program that runs one query: it starts sooner and computes more slowly.
    """
    options = f"-Dlog4j2.configurationFile={_LOG.as_uri()}"
    conf = {**_CONF, "spark.driver.extraJavaOptions": f"{options} {_QUICK if quick else ''}"}
    if master.partition("[")[0] == "local":
        # A single JVM, so its class path is enough and nothing is copied.
        path = ":".join(str(jar) for jar in jars)
        conf |= {**_LOCAL, **local_files(jars), "spark.driver.extraClassPath": path}
    else:
        conf["spark.jars"] = ",".join(str(jar) for jar in jars)
    if packages:
        conf["spark.jars.packages"] = packages
    with _silent():
        spark = launch(name, master, conf, secret_file)
    quieten(spark)
    return spark


@contextmanager
def _silent() -> Iterator[None]:
    """Close stdout, which is for reports, to a JVM that starts while the body runs: Delta lists
    there what it deletes.
    """
    sys.stdout.flush()
    own, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)
        os.close(nowhere)
