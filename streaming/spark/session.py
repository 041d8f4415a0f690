"""The Spark session that scores: SystemDS', with Kafka, and set up for short micro-batches."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from keras2dml import spark_session
from streaming.spark.local_files import local_files
from streaming.spark.loggers import quieten

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("contract", "keras2dml", "streaming")

_PLANS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # How long no reading has to come until the query says that it is idle, in milliseconds.
    "spark.sql.streaming.noDataProgressEventInterval": "1000",
    # A plan without a shuffle has nothing to adapt.
    "spark.sql.adaptive.enabled": "false",
}

# Of Spark's options for Kafka, what its plans and its page must not show.
_SECRET = "(?i)secret|password|token|access[.]key|jaas|keystore"


def session(
    master: str,
    jars: Sequence[Path],
    more: Mapping[str, str] | None = None,
    secret_file: Path | None = None,
) -> SparkSession:
    """A SparkSession on `master` with these jars, Spark's Kafka connector's among them, and with
    what else its configuration is to have; `secret_file` holds the secret of the master's cluster
    (`keras2dml.systemds.network`).

    Workers find our packages by themselves on this machine; to any other they are sent.
    """
    local = master.partition("[")[0] == "local"
    # No task has a better place to wait for; Kafka's is as near from everywhere.
    conf = {
        "spark.driver.memory": "2g",
        "spark.locality.wait": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.redaction.regex": _SECRET,
        **(more or {}),
    }
    if local:
        # Workers find our packages there; no shell is forked for the files of a checkpoint.
        conf |= {"spark.executorEnv.PYTHONPATH": str(_ROOT), **local_files(jars)}
    spark = spark_session("digitstream-score", master, jars, conf, secret_file)
    quieten(spark)
    if not local:
        _ship(spark)
    return spark


def prepared(spark: SparkSession) -> SparkSession:
    """A session of its own for the query, on the same context, that plans for short batches."""
    own = spark.newSession()
    for name, value in _PLANS.items():
        own.conf.set(name, value)
    return own


def _ship(spark: SparkSession) -> None:
    """Send our packages to the executors, as one archive, which goes when the session does."""
    archive = Path(SparkFiles.getRootDirectory()).parent / "digitstream.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for package in _PACKAGES:
            for file in sorted((_ROOT / package).rglob("*.py")):
                packed.write(file, file.relative_to(_ROOT))
    spark.sparkContext.addPyFile(str(archive))
