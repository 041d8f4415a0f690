import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import yaml
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from contract.errors import BrokerUnavailable
from digitstream.kafka import server, server_files
from digitstream.machine import jars, java, ports
from digitstream.machine.bounded_client import start_jvm
from tests.listening import Listeners
from tests.quick_java import quick_java

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_java():
        yield


@pytest.fixture
def path(java_17: java.Java) -> list[Path]:
    return jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))


def test_a_stopped_broker_comes_back_and_a_killed_one_does_not_count_as_running(
    java_17: java.Java, path: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "of who starts it")
    started = server.start(tmp_path, java_17, path)
    try:
        assert server.start(tmp_path, java_17, path) == started == server.status(tmp_path)
        assert server.address(tmp_path) == started.bootstrap_servers
        listeners = Listeners()
        listeners.look(psutil.Process(started.pid))
        assert listeners.of("kafka.Kafka") == 2  # for clients and for the controller
        environ = psutil.Process(started.pid).environ()
        assert environ["JAVA_TOOL_OPTIONS"] == os.environ["JAVA_TOOL_OPTIONS"]
        assert "SOME_PASSWORD" not in environ
        assert listeners.elsewhere == []
        write(started, b"kept")
        assert server.stop(tmp_path) == started
        assert not psutil.pid_exists(started.pid)
        assert server.status(tmp_path) is None
        assert server.stop(tmp_path) is None
        again = server.start(tmp_path, java_17, path)
        assert again.bootstrap_servers == started.bootstrap_servers
        assert read(again) == [b"kept"]
        os.kill(again.pid, signal.SIGKILL)
        psutil.Process(again.pid).wait(10)
        assert server.status(tmp_path) is None
        with pytest.raises(BrokerUnavailable, match="digitstream broker start"):
            server.address(tmp_path)
        # Nor does one that cannot start, which points to its log.
        (Path(started.data) / "meta.properties").write_text("version=1\nnode.id=7\n")
        with pytest.raises(BrokerUnavailable, match=r"broker\.log"):
            server.start(tmp_path, java_17, path)
        assert server.status(tmp_path) is None
    finally:
        server.stop(tmp_path)


def test_a_pid_that_went_to_another_program_is_left_alone(tmp_path: Path) -> None:
    record = server.Broker("127.0.0.1:1", os.getpid(), "data", "log")
    (tmp_path / "broker.json").write_text(json.dumps(vars(record)))
    assert server.status(tmp_path) is None
    assert server.stop(tmp_path) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"pid": "x"},
        {"pid": 1 << 80},
        {"pid": True},
        {"bootstrap_servers": "nowhere"},
        {"log": 1},
        {"listeners": {"SASL_SSL": 1}},
        {"listeners": []},
        {"more": 1},
    ],
)
def test_a_note_that_is_none_of_ours_is_no_broker(tmp_path: Path, wrong: dict[str, object]) -> None:
    note = {"bootstrap_servers": "127.0.0.1:9092", "pid": os.getpid(), "data": "d", "log": "l"}
    (tmp_path / "broker.json").write_text(json.dumps(note | wrong), "utf-8")
    assert server.status(tmp_path) is None
    assert server.stop(tmp_path) is None


@pytest.mark.slow
def test_the_log_has_no_control_characters_and_no_lines_of_others(
    java_17: java.Java, path: list[Path]
) -> None:
    configuration = yaml.safe_load(server_files.log4j(Path("kafka.log")))
    layout = configuration["Configuration"]["Appenders"]["RollingFile"]["PatternLayout"]
    with start_jvm(java_17, path) as jvm:
        log4j = jvm.org.apache.logging.log4j
        builder = log4j.core.layout.PatternLayout.newBuilder().withPattern(layout["pattern"])
        made = builder.withAlwaysWriteExceptions(layout["alwaysWriteExceptions"]).build()
        message = log4j.message.SimpleMessage("client \x1b]0;x\x07\n2026 ERROR all is lost")
        event = log4j.core.impl.Log4jLogEvent.newBuilder().setLoggerName("kafka.x")
        event = event.setLevel(log4j.Level.WARN).setMessage(message)
        event = event.setThrown(jvm.java.lang.RuntimeException("gone \x1b[2J"))
        text = made.toSerializable(event.build())
    first, *trace = text.splitlines()
    assert first.endswith(" WARN client ?]0;x??2026 ERROR all is lost (x)")
    assert "RuntimeException: gone ?[2J" in trace[0] and "\x1b" not in text


def test_a_taken_port_is_named_with_the_remedy(
    java_17: java.Java, path: list[Path], tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind((ports.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ports.PortTaken, match=f"Port {port} .* --port"):
            server.start(tmp_path, java_17, path, port)


def test_two_that_start_at_once_share_no_port_and_one_has_kafkas_own(
    java_17: java.Java, path: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ports.choose({"free": [0]})["free"]
    monkeypatch.setattr(ports, "KAFKA", usual)
    homes = [tmp_path / name for name in ("one", "other")]
    try:
        with ThreadPoolExecutor() as pool:
            started = list(pool.map(lambda home: server.start(home, java_17, path), homes))
        addresses = {each.bootstrap_servers for each in started}
        assert len(addresses) == 2 and f"{ports.HOST}:{usual}" in addresses
        assert [server.status(home) for home in homes] == started
    finally:
        for home in homes:
            server.stop(home)


@pytest.mark.parametrize("locale", ["C", pytest.param("C.UTF-8", marks=pytest.mark.long)])
def test_a_home_may_have_any_name(
    java_17: java.Java,
    path: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    locale: str,
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    home = tmp_path / "Größe: 数字 #1 \"a\" 'b' \\c \U0001f600"
    started = server.start(home, java_17, path)
    try:
        write(started, b"kept")
        assert read(started) == [b"kept"]
        assert (home / "kafka" / "data" / "kept-0").is_dir()
        assert (home / "kafka" / "broker.log").exists()
    finally:
        server.stop(home)


def test_a_comma_in_the_name_of_a_home_is_refused(
    java_17: java.Java, path: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(BrokerUnavailable, match="has a comma in its name"):
        server.start(tmp_path / "a,b", java_17, path)


def test_a_home_that_takes_no_files_is_one_sentence(
    java_17: java.Java, path: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(BrokerUnavailable, match=r"home/kafka cannot be written .*another --home"):
        server.start(tmp_path / "home", java_17, path)


@pytest.mark.long
def test_of_several_that_start_a_broker_each_finds_the_same_one(
    java_17: java.Java, path: list[Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "digitstream", "broker", "start", "--home", str(tmp_path)]
    starts = [
        subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    try:
        reports = [json.loads(start.communicate()[0]) for start in starts]
        assert len({report["pid"] for report in reports}) == 1
        assert [start.returncode for start in starts] == [0, 0, 0]
    finally:
        server.stop(tmp_path)


def write(to: server.Broker, value: bytes) -> None:
    admin = KafkaAdminClient(bootstrap_servers=to.bootstrap_servers)
    admin.create_topics([NewTopic("kept", 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=to.bootstrap_servers)
    producer.send("kept", value).get(10)
    producer.close()


def read(of: server.Broker) -> list[bytes]:
    consumer = KafkaConsumer(
        "kept",
        bootstrap_servers=of.bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=5000,
    )
    try:
        return [next(consumer).value]
    finally:
        consumer.close()
