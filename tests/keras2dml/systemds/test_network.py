"""Who may connect to a session: nobody from elsewhere, or whoever knows the cluster's secret."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from py4j.java_gateway import JavaObject
from pyspark import SparkContext, java_gateway
from pyspark.sql import SparkSession

from keras2dml.errors import InvalidSession
from keras2dml.systemds import network
from keras2dml.systemds.network import LOOPBACK, PROTECTED, connections, launch
from tests.listening import Listeners

# What a Java object begins with when it is serialized.
JAVA_OBJECT = bytes.fromhex("aced0005")


@pytest.mark.parametrize("master", ["local", "local[*]", "local[2,4]", "local-cluster[1,1,1024]"])
def test_a_local_master_always_listens_on_loopback(master: str) -> None:
    settings = connections(master)
    assert settings["spark.driver.host"] == settings["spark.driver.bindAddress"] == LOOPBACK


@pytest.mark.parametrize("master", ["spark://a:7077", "yarn", "k8s://https://a:443"])
def test_a_cluster_is_protected_by_one_file(master: str, tmp_path: Path) -> None:
    assert connections(master) == {}
    settings = connections(master, tmp_path / "secret")
    assert settings.items() >= PROTECTED.items()
    assert settings.keys() - PROTECTED.keys() == {"spark.authenticate.secret"}


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"\xff"])
def test_an_invalid_secret_is_reported_with_its_file(content: bytes | None, tmp_path: Path) -> None:
    file, before = tmp_path / "secret", dict(os.environ)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(
        InvalidSession, match=f"secret, {file}, .* in a single line. Fix it, or name"
    ):
        launch("no", "spark://nowhere:7077", {}, file)
    assert dict(os.environ) == before


def test_an_endless_secret_is_reported_with_its_file(tmp_path: Path) -> None:
    pipe, endless, huge = (tmp_path / name for name in ("pipe", "endless", "huge"))
    os.mkfifo(pipe)
    endless.symlink_to("/dev/zero")
    huge.write_bytes(b"x" * (1 << 20))
    for file in (pipe, endless, huge):
        with pytest.raises(
            InvalidSession, match=f"secret, {file}, .* in a single line. Fix it, or"
        ):
            launch("no", "spark://nowhere:7077", {}, file)


@pytest.mark.spark
def test_nothing_of_a_local_session_listens_outside_loopback(spark: SparkSession) -> None:
    spark.sparkContext.range(2).map(str).collect()  # with Python workers
    listeners = Listeners()
    listeners.look(psutil.Process())
    assert listeners.elsewhere == []
    assert listeners.of("pyspark.daemon") and listeners.of("pyspark-shell") == 3


@pytest.mark.spark
def test_a_stranger_on_this_machine_gets_no_java_object_read(spark: SparkSession) -> None:
    """RPC and block manager answer who has not authenticated, but read nothing of what it sends."""
    [jvm] = [each for each in psutil.Process().children() if "pyspark-shell" in each.cmdline()]
    ports = [at.laddr.port for at in jvm.net_connections("inet") if at.status == psutil.CONN_LISTEN]
    gateway = spark.sparkContext._gateway.gateway_parameters.port
    answers = [_asked(port, JAVA_OBJECT) for port in ports if port != gateway]
    assert len(answers) == 2
    assert all(b"Expected SaslMessage" in answer for answer in answers)


@pytest.mark.spark
def test_python_calls_nothing_for_a_stranger(spark: SparkSession) -> None:
    gateway = spark.sparkContext._gateway
    port = gateway.get_callback_server().get_listening_port()
    called: list[str] = []

    class Listener:
        def call(self, word: str) -> None:
            called.append(word)

        class Java:
            implements = ("java.lang.Runnable",)

    name = gateway.gateway_property.pool.put(Listener())
    command = f"c\n{name}\ncall\nshello\ne\n".encode()
    with socket.create_connection((LOOPBACK, port), 10) as stranger:
        stranger.sendall(command)
        assert not _until_closed(stranger)
    assert called == []
    client = JavaObject("GATEWAY_SERVER", gateway._gateway_client).getCallbackClient()
    client.sendCommand(command.decode())
    assert called == ["hello"]


def _asked(port: int, body: bytes) -> bytes:
    """What a port of Spark's answers to an RPC request with this body."""
    request = struct.pack(">BqI", 3, 1, len(body)) + body
    with socket.create_connection((LOOPBACK, port), 10) as stranger:
        stranger.sendall(struct.pack(">q", len(request) + 8) + request)
        stranger.settimeout(10)
        return stranger.recv(1 << 16)


def _until_closed(stranger: socket.socket) -> bytes:
    """What comes before the other side ends the connection."""
    stranger.settimeout(10)
    try:
        return stranger.recv(1 << 10)
    except ConnectionResetError:
        return b""


@pytest.mark.spark
def test_a_start_that_is_interrupted_leaves_no_jvm() -> None:
    code = "from keras2dml import spark_session; spark_session('interrupted', 'local[1]')"
    command = ["env", "--default-signal=INT", sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        us, launched = psutil.Process(program.pid), []
        try:
            while not launched:
                launched = us.children(recursive=True)
                assert program.poll() is None
            program.send_signal(signal.SIGINT)
            _, said = program.communicate(timeout=60)
        finally:
            program.kill()
    assert said.rstrip().endswith("KeyboardInterrupt") and "\tat " not in said
    _, left = psutil.wait_procs(launched, timeout=10)
    assert left == []


def test_an_interrupt_while_the_jvm_is_launched_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[subprocess.Popen[bytes]] = []

    def interrupted_popen(command: object, **options: Any) -> subprocess.Popen[bytes]:
        launched.append(subprocess.Popen(["sleep", "600"], **options))
        signal.raise_signal(signal.SIGINT)
        return launched[-1]

    monkeypatch.setattr(java_gateway, "Popen", interrupted_popen)
    monkeypatch.setattr(SparkContext, "_gateway", None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), network._left_alone():
            java_gateway.Popen("spark-submit")
    finally:
        signal.signal(signal.SIGINT, before)
    assert [process.returncode for process in launched] == [-signal.SIGKILL]
