"""The embedded Kafka: Apache Kafka's own broker in one Java process on this machine.

One broker that is its own controller (KRaft), on loopback, its data under `HOME/kafka`. It outlives
the command that started it; `HOME/broker.json` says where it is. `digitstream.secure` locks its
doors where that is asked for.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from contract import files
from contract.connection import Kafka
from contract.errors import AccessDenied, BrokerUnavailable, DigitstreamError
from digitstream import processes, secure
from digitstream.certificates import private
from digitstream.java import Java

HOST = "127.0.0.1"
START_SECONDS = 60.0

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
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

OPEN = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
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


class DoorsOpen(DigitstreamError):
    """Locked doors are asked of a Kafka whose data were made without them."""


@dataclass(frozen=True)
class Broker:
    """A broker that was started here: its address, its process and where its files are.

    `listeners` has the address of each of its doors, by name, if these are locked.
    """

    bootstrap_servers: str
    pid: int
    data: str
    log: str
    listeners: Mapping[str, str] = field(default_factory=dict)

    @property
    def kafka(self) -> Kafka:
        """The way to it."""
        return Kafka(self.bootstrap_servers)


def status(home: Path) -> Broker | None:
    """The running broker of this home, or None: what a crashed one left behind does not count."""
    broker = _recorded(home)
    return broker if broker is not None and _process(home, broker) is not None else None


def address(home: Path) -> str:
    """Where the embedded broker of this home listens for everybody.

    Raises BrokerUnavailable if it is down, AccessDenied if its doors are locked.
    """
    broker = status(home)
    if broker is None:
        message = (
            f"The embedded Kafka of {home} is not running. Start it with `digitstream broker "
            f"start`, or name another Kafka with --bootstrap-servers."
        )
        raise BrokerUnavailable(message)
    if broker.listeners:
        message = (
            f"The embedded Kafka of {home} lets nobody in without a profile. Each program has one "
            f"of its own. Choose it with --kafka-profile: {', '.join(secure.USERS)}."
        )
        raise AccessDenied(message)
    return broker.bootstrap_servers


def start(
    home: Path, java: Java, path: list[Path], port: int | None = None, *, locked: bool = False
) -> Broker:
    """Start the broker, or find it running; returns when it answers.

    `path` are the broker's jars. Without a port it takes the one of its last run if that is free,
    so that clients find it again, else any free one. `locked` lets in only who comes by TLS and
    says who it is; a broker that was made so stays so. Raises PortTaken, DoorsOpen, and
    BrokerUnavailable when the broker does not come up.
    """
    found, folder = status(home), (home / "kafka").resolve()
    if locked and not secure.there(home) and (found or (folder / "data").exists()):
        message = (
            f"The embedded Kafka of {home} was made without security, and keeps its data so. Users "
            f"are made with the data. Choose another --home for a secure one, or stop it and "
            f"remove {folder}."
        )
        raise DoorsOpen(message)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    if locked or secure.there(home):
        secure.prepare(home)
    listen, control = _ports(port, _recorded(home), _doors(home))
    properties = _configured(home, folder, listen, control)
    classpath = f"{path[0].parent}/*"
    tool = [
        str(java.executable),
        "-Xmx512m",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}",
    ]
    credentials = secure.credentials(home) if secure.there(home) else []
    _format(folder, [*tool, "-cp", classpath, "kafka.tools.StorageTool"], properties, credentials)
    log = folder / "broker.log"
    command = [*tool, "-cp", classpath, "kafka.Kafka", str(properties)]
    with processes.undisturbed():
        process = processes.detach(command, folder / "broker.out", {})
        address, *_ = addresses = [f"{HOST}:{port}" for port in listen.values()]
        listeners = dict(zip(listen, addresses, strict=True)) if secure.there(home) else {}
        broker = Broker(address, process.pid, str(folder / "data"), str(log), listeners)
        _record(home, broker)
        if listeners:
            secure.profiles(home, listeners)
    try:
        _wait(process, broker, next(iter(listen.values())))
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
        return Broker(**json.loads(files.read_text(home / "broker.json", 1 << 16)))
    except (OSError, ValueError, TypeError):
        return None


def _record(home: Path, broker: Broker) -> None:
    draft = home / "broker.json.new"
    draft.write_text(json.dumps(asdict(broker), indent=2) + "\n")
    draft.replace(home / "broker.json")


def _doors(home: Path) -> Sequence[str]:
    """The listeners for clients, the one that --port means first."""
    return secure.LISTENERS if secure.there(home) else ("PLAINTEXT",)


def _ports(
    asked: int | None, last: Broker | None, doors: Sequence[str]
) -> tuple[dict[str, int], int]:
    """A port for each door and one for the controller, all free now."""
    usual = {} if last is None else {doors[0]: last.bootstrap_servers, **last.listeners}
    found = {}
    with ExitStack() as held:
        for door in doors:
            before = int(usual.get(door, ":0").rsplit(":", 1)[1])
            wanted = asked if door == doors[0] else None
            found[door] = _bound(held, (before, 0) if wanted is None else (wanted,))
        return found, _bound(held, (0,))


def _bound(held: ExitStack, ports: Sequence[int]) -> int:
    """The first of these ports that is free (0 is any), kept from others until `held` ends."""
    for port in ports:
        listen = held.enter_context(socket.socket())
        try:
            listen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listen.bind((HOST, port))
            return int(listen.getsockname()[1])
        except OSError:
            continue
    message = (
        f"Port {ports[0]} of {HOST} is taken by another program. The embedded Kafka needs it "
        f"for itself: choose another with --port, or leave --port out to take a free one."
    )
    raise PortTaken(message)


def _configured(home: Path, folder: Path, ports: Mapping[str, int], controller_port: int) -> Path:
    """Write server.properties, which holds passwords if the doors are locked."""
    properties, names = folder / "server.properties", {"host": HOST}
    text = SERVER_PROPERTIES.format(**names, controller_port=controller_port, data=folder / "data")
    if secure.there(home):
        text += secure.properties(home, HOST, ports, controller_port)
    else:
        text += OPEN.format(**names, port=ports["PLAINTEXT"], controller_port=controller_port)
    private(properties, text.encode())
    (folder / "log4j2.yaml").write_text(LOG4J.format(log=folder / "broker.log"))
    return properties


def _format(folder: Path, tool: list[str], properties: Path, credentials: Sequence[str]) -> None:
    """Give an empty data folder the identity of a cluster and its users, once."""
    if (folder / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    options = ["--ignore-formatted", f"--cluster-id={cluster}", "-c", str(properties)]
    # In a file, for everybody sees a process' arguments.
    given = folder / "format.arguments"
    private(given, "\n".join(["format", *options, *credentials]).encode())
    try:
        done = subprocess.run([*tool, f"@{given}"], capture_output=True, text=True, check=False)
    finally:
        given.unlink()
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
