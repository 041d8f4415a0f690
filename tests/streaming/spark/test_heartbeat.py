"""A query that goes on has a heartbeat, one that hangs has none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from contract.home import heartbeat
from digitstream import alive
from streaming.spark.heartbeat import beating


def wait_for(condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(spark: SparkSession, name: str, folder: Path, batch: Any) -> StreamingQuery:
    rows = spark.readStream.format("rate").option("rowsPerSecond", 5).load()
    writer = rows.writeStream.queryName(name).foreachBatch(batch).trigger(processingTime="1 second")
    return writer.option("checkpointLocation", str(folder / f"checkpoint-{name}")).start()


def beats_anew(file: Path) -> None:
    os.utime(file, (0, 0))
    wait_for(lambda: file.stat().st_mtime > 0)


@pytest.mark.spark
def test_a_query_that_hangs_has_no_heartbeat(spark: SparkSession, tmp_path: Path) -> None:
    hang, hanging = threading.Event(), threading.Event()

    def batch(records: DataFrame, number: int) -> None:
        while hang.is_set():
            hanging.set()
            time.sleep(0.05)

    session = spark.newSession()
    files = {name: heartbeat.file(tmp_path, "score", name) for name in ("stuck", "sound")}
    with beating(session, tmp_path, "score"):
        queries = [started(session, "stuck", tmp_path, batch)]
        queries.append(started(session, "sound", tmp_path, lambda records, number: None))
        try:
            wait_for(lambda: all(file.exists() for file in files.values()))
            beats_anew(files["stuck"])
            hang.set()
            assert hanging.wait(120)
            jvm: Any = spark.sparkContext._jsc
            jvm.sc().listenerBus().waitUntilEmpty(600_000)  # what was to tell of it is told
            os.utime(files["stuck"], (0, 0))
            for _ in range(3):
                beats_anew(files["sound"])
            assert files["stuck"].stat().st_mtime == 0
            hang.clear()
            beats_anew(files["stuck"])
        finally:
            hang.clear()
            for query in queries:
                query.stop()
    assert not any(file.exists() for file in files.values())


ENDED = "score-a has not started, or has ended."


@pytest.mark.parametrize("seconds", [-alive.LIMIT_SECONDS - 5, alive.LIMIT_SECONDS + 5])
def test_alive_reports_silent_queries(tmp_path: Path, seconds: float) -> None:
    """Also where the clock was put back since."""
    environ = {"DIGITSTREAM_HOME": str(tmp_path)}
    assert alive.main(["score-a"], environ) == ENDED
    heartbeat.beat(heartbeat.file(tmp_path, "score", "a"))
    assert alive.main(["score-a"], environ) is None
    file = heartbeat.file(tmp_path, "archive", "b")
    heartbeat.beat(file)
    os.utime(file, (time.time(), time.time() + seconds))
    said = alive.main(["score-a", "archive-b"], environ)
    assert said is not None and said.startswith("archive-b has made no progress for 12")
    command = [sys.executable, "-m", "digitstream.alive", "score-a", "archive-b"]
    done = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "archive-b has made no progress" in done.stderr


def test_alive_imports_almost_nothing() -> None:
    heavy = "{'numpy', 'kafka', 'pyspark', 'typer'}"
    code = f"import sys, digitstream.alive; sys.exit(bool({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_heartbeat_that_cannot_be_written_stops_no_query(tmp_path: Path) -> None:
    (tmp_path / "heartbeats").write_text("no folder")
    heartbeat.beat(heartbeat.file(tmp_path, "score", "a"))
    assert alive.main(["score-a"], {"DIGITSTREAM_HOME": str(tmp_path)}) == ENDED
