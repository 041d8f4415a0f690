"""A standalone cluster of Spark, as a master and a worker of their own, that demands its secret."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyspark
import pytest

from digitstream.machine import java
from keras2dml.systemds.network import LOOPBACK
from tests.listening import Listeners
from tests.streaming.wire import until

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.long]

PROPERTIES = """\
spark.authenticate true
spark.authenticate.secret {secret}
spark.network.crypto.enabled true
spark.network.crypto.authEngineVersion 2
"""
DEPLOY = "org.apache.spark.deploy"
SPARK = Path(pyspark.__file__).parent

PROGRAM = """
import sys
from pathlib import Path
from keras2dml import Keras2DMLError, spark_session

conf = {"spark.executor.memory": "512m", "spark.driver.memory": "512m"}
try:
    spark = spark_session("c", sys.argv[1], conf=conf, secret_file=Path(sys.argv[2]))
except Keras2DMLError as error:
    sys.exit(str(error))
print(spark.sparkContext.range(4).map(lambda number: number * number).sum())
"""


@contextmanager
def cluster(java_17: java.Java, folder: Path, secret: str) -> Iterator[str]:
    """The address of a master that has a worker; both end with the body."""
    properties = folder / "spark.conf"
    properties.write_text(PROPERTIES.format(secret=secret))
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    address = f"spark://{LOOPBACK}:{port}"
    shared = ["--host", LOOPBACK, "--webui-port", "0", "--properties-file", str(properties)]
    place = ["--work-dir", str(folder), "--cores", "1", "--memory", "1g"]
    spark = {"SPARK_LOCAL_IP": LOOPBACK, "SPARK_HOME": str(SPARK), "SPARK_SCALA_VERSION": "2.12"}
    environ = {**os.environ, **spark}
    log = folder / "log"
    with log.open("w") as said:

        def start(program: str, *words: str) -> subprocess.Popen[bytes]:
            tool = [str(java_17.executable), "-cp", f"{SPARK / 'jars'}/*", f"{DEPLOY}.{program}"]
            return subprocess.Popen([*tool, *shared, *words], env=environ, stdout=said, stderr=said)

        started = [start("master.Master", "--port", str(port))]
        try:
            started.append(start("worker.Worker", *place, address))
            until(lambda: "registered with master" in log.read_text(), 300)
            yield address
        finally:
            for process in started:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
                process.wait()


def test_a_cluster_takes_only_who_knows_its_secret(java_17: java.Java, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("the cluster's own\n")
    wrong.write_text("somebody else's\n")
    with cluster(java_17, tmp_path, "the cluster's own") as address:
        ran = _run(address, right)
        assert (ran.returncode, ran.stdout) == (0, "14\n"), ran.stderr
        listeners = Listeners()
        listeners.look(psutil.Process())
        assert listeners.elsewhere == []
        refused = _run(address, wrong)
    assert refused.returncode == 1
    assert f"Spark could not create a session on the master {address} (" in refused.stderr
    assert "Traceback" not in refused.stderr and "\tat " not in refused.stderr


def _run(address: str, secret: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, address, str(secret)],
        env={**os.environ, "SPARK_LOCAL_IP": LOOPBACK},
        capture_output=True,
        text=True,
        check=False,
    )
