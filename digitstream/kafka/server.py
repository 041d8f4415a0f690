"""The embedded Kafka: Apache Kafka's own broker in one Java process on this machine.

One broker that is its own controller (KRaft), on loopback, its data under `HOME/kafka`. It outlives
the command that started it; `HOME/broker.json` says where it is. `digitstream.kafka.security` locks
its doors where that is asked for.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from contract import files
from contract.errors import AccessDenied, BrokerUnavailable, InstallationError
from contract.kafka.connection import Kafka
from digitstream.kafka import security, server_files
from digitstream.machine import ports, processes
from digitstream.machine.java import Java
from digitstream.machine.java_text import reason, utf8_locale
from digitstream.machine.ports import HOST, PortTaken

OPEN_DOORS = ("PLAINTEXT",)

PATIENCE_SECONDS = 600.0
"""How long a broker whose process lives may take to answer: on a busy machine, minutes."""

_TAIL_BYTES = 1 << 16

_ADDRESS = re.compile(r"[^\s,]+:[1-9][0-9]{0,4}")

# Locked while a broker is started.
_LOCK = "start.lock"


class DoorsOpen(InstallationError):
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
    def addresses(self) -> list[str]:
        """Where it listens for clients."""
        return [self.bootstrap_servers, *self.listeners.values()]

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
            f"of its own. Choose it with --kafka-profile: {', '.join(security.USERS)}."
        )
        raise AccessDenied(message)
    return broker.bootstrap_servers


def start(
    home: Path,
    java: Java,
    path: list[Path],
    port: int | None = None,
    *,
    locked: bool = False,
    session_ms: int = security.SESSION_MS,
) -> Broker:
    """Start the broker, or find it running; returns when it answers. Of several that start it at
    a time the first does, the others wait for it.

    `path` are the broker's jars. Without a port it takes the one of its last run if that is free,
    so that clients find it again, else 9092 (unless it is locked), else any. `locked` lets in only
    who comes by TLS and says who it is, and again within `session_ms`; a broker that was made so
    stays so. Raises PortTaken, DoorsOpen, and BrokerUnavailable when the broker does not come up.
    """
    folder = (home / "kafka").resolve()
    _check_name(folder)
    with _taking_files(folder), _starting(folder):
        return _started(home, folder, java, path, port, locked, session_ms)


def _started(
    home: Path,
    folder: Path,
    java: Java,
    path: list[Path],
    port: int | None,
    locked: bool,
    session_ms: int,
) -> Broker:
    found = status(home)
    if locked and not security.there(home) and (found or (folder / "data").exists()):
        message = (
            f"The embedded Kafka of {home} was made without security, and keeps its data so. Users "
            f"are made with the data. Choose another --home for a secure one, or stop it and "
            f"remove {folder}."
        )
        raise DoorsOpen(message)
    if found is not None:
        return found
    if locked or security.there(home):
        security.prepare(home)
    try:
        return _launch(home, folder, java, path, port, session_ms)
    except PortTaken:
        if port is not None:
            raise
        # Another program was quicker: two that start at once choose the same free port.
        return _launch(home, folder, java, path, 0, session_ms)


def _launch(
    home: Path, folder: Path, java: Java, path: list[Path], port: int | None, session_ms: int
) -> Broker:
    """Start the process on free ports; raises PortTaken if one was taken meanwhile."""
    listen, control = _ports(home, port)
    properties = server_files.write(home, folder, listen, control, session_ms)
    classpath = f"{path[0].parent}/*"
    tool = [
        str(java.executable),
        "-Xmx512m",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}",
    ]
    credentials = security.credentials(home) if security.there(home) else []
    server_files.format_data(
        folder, [*tool, "-cp", classpath, "kafka.tools.StorageTool"], properties, credentials
    )
    log = folder / "broker.log"
    command = [*tool, "-cp", classpath, "kafka.Kafka", str(properties)]
    with processes.undisturbed():
        process = processes.detach(command, folder / "broker.out", utf8_locale(os.environ))
        address, *_ = addresses = [f"{HOST}:{port}" for port in listen.values()]
        listeners = dict(zip(listen, addresses, strict=True)) if security.there(home) else {}
        broker = Broker(address, process.pid, str(folder / "data"), str(log), listeners)
        _record(home, broker)
        if listeners:
            security.profiles(home, listeners)
    try:
        _wait(process, broker, next(iter(listen.values())))
    except BaseException:
        processes.end(process)
        raise
    return broker


def _last_words(broker: Broker) -> str:
    """What a broker said last that did not come up."""
    log = Path(broker.log)
    for file in (log, log.with_suffix(".out")):
        if file.exists() and (text := file.read_bytes()[-_TAIL_BYTES:].strip()):
            return reason(text.decode("utf-8", "replace"))
    return "it said nothing"


def _check_name(folder: Path) -> None:
    """Raise BrokerUnavailable if the folder has a name that Kafka takes for several."""
    if "," in str(folder):
        message = (
            f"The folder {folder} has a comma in its name. Kafka takes commas to separate folders. "
            f"Choose another --home."
        )
        raise BrokerUnavailable(message)


@contextmanager
def _taking_files(folder: Path) -> Iterator[None]:
    """Raise BrokerUnavailable if the body cannot write there."""
    try:
        yield
    except OSError as exc:
        message = (
            f"The folder {folder} takes no files ({exc.strerror}). The embedded Kafka keeps its "
            f"data there. Make room and let this user write there, or choose another --home."
        )
        raise BrokerUnavailable(message) from exc


@contextmanager
def _starting(folder: Path) -> Iterator[None]:
    """Be the only one who starts the broker of this folder, which is made, while the body runs."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / _LOCK).exists():
        files.check_regular(folder / _LOCK)
    with (folder / _LOCK).open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


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
        broker = Broker(**json.loads(files.read_text(home / "broker.json", 1 << 16)))
        is_whole = (
            type(broker.pid) is int
            and 0 < broker.pid < 1 << 31
            and all(isinstance(text, str) for text in (broker.data, broker.log))
            and all(_ADDRESS.fullmatch(at) for at in broker.addresses)
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return broker if is_whole else None


def _record(home: Path, broker: Broker) -> None:
    draft = home / "broker.json.new"
    draft.write_text(json.dumps(asdict(broker), indent=2) + "\n", "utf-8")
    draft.replace(home / "broker.json")


def _doors(home: Path) -> Sequence[str]:
    """The listeners for clients, the one that --port means first."""
    return security.LISTENERS if security.there(home) else OPEN_DOORS


def _ports(home: Path, asked: int | None) -> tuple[dict[str, int], int]:
    """A port for each door and one for the controller, all free now.

    Without `asked` the first door has that of the last run, else Kafka's usual one if it lets
    everybody in, else any.
    """
    last, doors = _recorded(home), _doors(home)
    before = {} if last is None else {doors[0]: last.bootstrap_servers, **last.listeners}
    usual = {
        door: [int(before[door].rsplit(":", 1)[1])] if door in before else [] for door in doors
    }
    if doors == OPEN_DOORS:
        usual[doors[0]].append(ports.KAFKA)
    wanted = {door: [*usual[door], 0] for door in doors}
    if asked is not None:
        wanted[doors[0]] = [asked]
    *listen, control = ports.choose({**wanted, "CONTROLLER": [0]}).values()
    return dict(zip(doors, listen, strict=True)), control


def _wait(process: psutil.Process, broker: Broker, port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.status() != psutil.STATUS_ZOMBIE:
        if ports.is_listening(process, port):
            return
        time.sleep(0.05)
    if process.status() == psutil.STATUS_ZOMBIE:
        ports.choose({"": [port]})  # raises PortTaken if that is why
    message = (
        f"The embedded Kafka did not come up on {broker.bootstrap_servers}: {_last_words(broker)}. "
        f"More is in its log {broker.log}. Correct that and start it again."
    )
    raise BrokerUnavailable(message)
