"""The Spark session that scores: with SystemDS and Kafka, tuned for short micro-batches."""

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
    # Milliseconds without a reading until the query reports that it is idle.
    "spark.sql.streaming.noDataProgressEventInterval": "1000",
    # A plan without a shuffle has nothing to adapt.
    "spark.sql.adaptive.enabled": "false",
}

# Options for Kafka that Spark's plans and its UI must not show.
_SECRET = "(?i)secret|password|token|access[.]key|jaas|keystore"


def session(
    master: str,
    jars: Sequence[Path],
    more: Mapping[str, str] | None = None,
    secret_file: Path | None = None,
) -> SparkSession:
    """A SparkSession on `master` with these jars, which include Spark's Kafka connector, and `more`
    configuration; `secret_file` holds the secret of the master's cluster
    (`keras2dml.systemds.network`).

    Workers on this machine import our packages from the checkout; other machines are sent a copy.
    """
    local = master.partition("[")[0] == "local"
    # Kafka is equally near from everywhere, so no task needs to wait for a better place.
    conf = {
        "spark.driver.memory": "2g",
        "spark.locality.wait": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.redaction.regex": _SECRET,
        **(more or {}),
    }
    if local:
        # Where workers find our packages; and checkpoint files without shell commands.
        conf |= {"spark.executorEnv.PYTHONPATH": str(_ROOT), **local_files(jars)}
    spark = spark_session("digitstream-score", master, jars, conf, secret_file)
    quieten(spark)
    if not local:
        _ship(spark)
    return spark


def prepared(spark: SparkSession) -> SparkSession:
    """A new session for the query, on the same context, that plans for short batches."""
    own = spark.newSession()
    for name, value in _PLANS.items():
        own.conf.set(name, value)
    return own


def _ship(spark: SparkSession) -> None:
    """Send our packages to the executors in one archive, which is deleted with the session."""
    archive = Path(SparkFiles.getRootDirectory()).parent / "digitstream.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for package in _PACKAGES:
            for file in sorted((_ROOT / package).rglob("*.py")):
                packed.write(file, file.relative_to(_ROOT))
    spark.sparkContext.addPyFile(str(archive))
