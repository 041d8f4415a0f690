"""The embedded Kafka: Apache Kafka's own broker in one Java process on this machine.

One broker that is its own controller (KRaft), on loopback, its data under `HOME/kafka`. It outlives
the command that started it; `HOME/broker.json` says where it is.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from contract.connection import Kafka
from contract.errors import BrokerUnavailable, DigitstreamError
from digitstream import processes
from digitstream.java import Java

HOST = "127.0.0.1"
START_SECONDS = 60.0

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=2
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
log.message.timestamp.type=LogAppendTime
"""

LOG4J = """\
Configuration:
  status: error
  Appenders:
    RollingFile:
      name: file
      fileName: {log}
      filePattern: {log}.%i
      PatternLayout: {{pattern: "%d{{ISO8601}} %p %m (%c{{1}})%n"}}
      Policies: {{SizeBasedTriggeringPolicy: {{size: 10MB}}}}
      DefaultRolloverStrategy: {{max: 2}}
  Loggers:
    Root: {{level: warn, AppenderRef: {{ref: file}}}}
    Logger: [{{name: kafka.server.KafkaRaftServer, level: info}}]
"""


class PortTaken(DigitstreamError):
    """Another program listens on the port that was asked for."""


@dataclass(frozen=True)
class Broker:
    """A broker that was started here: its address, its process and where its files are."""

    bootstrap_servers: str
    pid: int
    data: str
    log: str

    @property
    def kafka(self) -> Kafka:
        """The way to it."""
        return Kafka(self.bootstrap_servers)


def status(home: Path) -> Broker | None:
    """The running broker of this home, or None: what a crashed one left behind does not count."""
    broker = _recorded(home)
    return broker if broker is not None and _process(home, broker) is not None else None


def address(home: Path) -> str:
    """Where the embedded broker of this home listens; raises BrokerUnavailable if it is down."""
    broker = status(home)
    if broker is None:
        message = (
            f"The embedded Kafka of {home} is not running. Start it with `digitstream broker "
            f"start`, or name another Kafka with --bootstrap-servers."
        )
        raise BrokerUnavailable(message)
    return broker.bootstrap_servers


def start(home: Path, java: Java, path: list[Path], port: int | None = None) -> Broker:
    """Start the broker, or find it running; returns when it answers.

    `path` are the broker's jars. Without a port it takes the one of its last run if that is free,
    so that clients find it again, else any free one. Raises PortTaken, and BrokerUnavailable when
    the broker does not come up.
    """
    found = status(home)
    if found is not None:
        return found
    folder = (home / "kafka").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    listen, control = _ports(port, _recorded(home))
    properties = _configured(folder, listen, control)
    classpath = f"{path[0].parent}/*"
    tool = [
        str(java.executable),
        "-Xmx512m",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}",
    ]
    _format(folder, [*tool, "-cp", classpath, "kafka.tools.StorageTool"], properties)
    log = folder / "broker.log"
    command = [*tool, "-cp", classpath, "kafka.Kafka", str(properties)]
    with processes.undisturbed():
        process = processes.detach(command, folder / "broker.out", {})
        broker = Broker(f"{HOST}:{listen}", process.pid, str(folder / "data"), str(log))
        _record(home, broker)
    try:
        _wait(process, broker, listen)
    except BaseException:
        processes.end(process)
        raise
    return broker


def stop(home: Path) -> Broker | None:
    """Stop the broker of this home; returns the one that was running, or None."""
    broker = _recorded(home)
    process = _process(home, broker) if broker is not None else None
    if process is not None:
        processes.end(process)
    return broker if process is not None else None


def _process(home: Path, broker: Broker) -> psutil.Process | None:
    return processes.running(broker.pid, str((home / "kafka" / "server.properties").resolve()))


def _recorded(home: Path) -> Broker | None:
    try:
        return Broker(**json.loads((home / "broker.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _record(home: Path, broker: Broker) -> None:
    draft = home / "broker.json.new"
    draft.write_text(json.dumps(asdict(broker), indent=2) + "\n")
    draft.replace(home / "broker.json")


def _ports(asked: int | None, last: Broker | None) -> tuple[int, int]:
    """A port for clients and one for the controller, both free now."""
    usual = int(last.bootstrap_servers.rsplit(":", 1)[1]) if last is not None else 0
    with socket.socket() as listen, socket.socket() as control:
        for port in (asked,) if asked is not None else (usual, 0):
            try:
                listen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listen.bind((HOST, port))
                break
            except OSError:
                continue
        else:
            message = (
                f"Port {asked} of {HOST} is taken by another program. The embedded Kafka needs it "
                f"for itself: choose another with --port, or leave --port out to take a free one."
            )
            raise PortTaken(message)
        control.bind((HOST, 0))
        return listen.getsockname()[1], control.getsockname()[1]


def _configured(folder: Path, port: int, controller_port: int) -> Path:
    properties = folder / "server.properties"
    properties.write_text(
        SERVER_PROPERTIES.format(
            host=HOST,
            port=port,
            controller_port=controller_port,
            data=folder / "data",
        )
    )
    (folder / "log4j2.yaml").write_text(LOG4J.format(log=folder / "broker.log"))
    return properties


def _format(folder: Path, tool: list[str], properties: Path) -> None:
    """Give an empty data folder the identity of a cluster, once."""
    if (folder / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    options = ["--ignore-formatted", f"--cluster-id={cluster}", "-c", str(properties)]
    done = subprocess.run([*tool, "format", *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = (
            f"The data folder {folder / 'data'} could not be prepared for Kafka: "
            f"{(done.stderr or done.stdout).strip().splitlines()[-1]}. "
            f"Remove {folder} and start again."
        )
        raise BrokerUnavailable(message)


def _wait(process: psutil.Process, broker: Broker, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.status() != psutil.STATUS_ZOMBIE:
        with socket.socket() as attempt:
            attempt.settimeout(1)
            if attempt.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    message = (
        f"The embedded Kafka did not come up on {broker.bootstrap_servers}. "
        f"Its log says why: {broker.log}. Mend that and start it again."
    )
    raise BrokerUnavailable(message)
