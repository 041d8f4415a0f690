"""Sessions: what SystemDS needs is there, or said."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark import accumulators

from keras2dml.kernels import installed
from keras2dml.systemds import session
from keras2dml.systemds.session import JAVA_OPTIONS, settings, systemds_jar

ROOT = Path(__file__).parents[3]


# An address that this machine does not have: who listens there fails.
ELSEWHERE = "203.0.113.7"

DEFAULTS = f"""\
spark.driver.bindAddress 0.0.0.0
spark.driver.host {ELSEWHERE}
spark.ui.enabled true
"""


def in_a_new_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environ},
        cwd=ROOT,
    )


def test_settings_bring_systemds_and_the_jars_asked_for():
    assert systemds_jar().name == "SystemDS.jar" and systemds_jar().exists()
    kernels = installed.jar().path
    if os.environ.get(installed.SWITCH) == "off":
        assert kernels is None
    else:
        assert kernels is not None and kernels.exists()
    jars = [systemds_jar(), *([kernels] if kernels else []), "a.jar"]
    assert settings(["a.jar"])["spark.jars"] == ",".join(map(str, jars))


def test_importing_and_scoring_needs_no_keras():
    code = (
        "import sys, keras2dml; keras2dml.Scorer; print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    assert in_a_new_python(code).stdout.strip() == "set()"


@pytest.mark.spark
@pytest.mark.slow
def test_a_session_without_systemds_is_refused_with_the_settings():
    code = (
        "from pyspark.sql import SparkSession\n"
        "from keras2dml.systemds.session import check_session\n"
        "check_session(SparkSession.builder.master('local[1]').getOrCreate())"
    )
    error = in_a_new_python(code).stderr
    assert "InvalidSession: This SparkSession cannot run SystemDS" in error
    assert f"spark.jars={systemds_jar()}" in error
    assert f"spark.driver.extraJavaOptions={JAVA_OPTIONS}" in error


@pytest.mark.spark
@pytest.mark.slow
def test_a_session_of_ours_is_quiet_and_on_loopback_whatever_names_and_settings_say(
    tmp_path: Path,
) -> None:
    (tmp_path / "spark-defaults.conf").write_text(DEFAULTS)
    (tmp_path / "spark-env.sh").write_text(f"SPARK_LOCAL_IP={ELSEWHERE}\n")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")  # so this machine has no address
    code = (
        "import json, psutil; from keras2dml import spark_session\n"
        "from keras2dml.systemds.context import SystemDS; from tests.listening import Listeners\n"
        "spark = spark_session(master='local[1]')\n"
        "SystemDS(spark)\n"
        "try: print(spark._jvm.java.net.InetAddress.getLocalHost())\n"
        "except Exception as error: nameless = 'UnknownHostException' in str(error)\n"
        "listeners = Listeners()\n"
        "listeners.look(psutil.Process())\n"
        "print(json.dumps([nameless, len(listeners.seen), listeners.elsewhere]))"
    )
    ran = in_a_new_python(
        code,
        SPARK_CONF_DIR=str(tmp_path),
        SPARK_LOCAL_HOSTNAME="nowhere.invalid",
        SPARK_SUBMIT_OPTS=f"-Djdk.net.hosts.file={tmp_path / 'hosts'}",
    )
    assert ran.returncode == 0, ran.stderr
    assert (json.loads(ran.stdout), ran.stderr) == ([True, 5, []], "")


def test_a_connection_for_accumulators_that_ends_early_leaves_no_trace(capfd):
    server = accumulators._start_update_server("a token")
    session._end_quietly(SimpleNamespace(sparkContext=SimpleNamespace(_accumulatorServer=server)))
    try:
        with socket.create_connection(server.server_address) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    finally:
        server.shutdown()
    assert capfd.readouterr().err == ""
