"""The embedded Kafka: Apache Kafka's own broker in one Java process on this machine.

One broker that is its own controller (KRaft), on loopback, with its data under `HOME/kafka`. It
outlives the command that started it; `HOME/broker.json` has its address. `security` secures it.
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
from digitstream.machine.java_text import lasting_environment, reason
from digitstream.machine.ports import HOST, PortTaken

UNSECURED = ("PLAINTEXT",)

PATIENCE_SECONDS = 600.0
"""How long a live broker may take to answer; on a busy machine it takes minutes."""

_TAIL_BYTES = 1 << 16

_ADDRESS = re.compile(r"[^\s,]+:[1-9][0-9]{0,4}")

# The file that is locked while a broker starts.
_LOCK = "start.lock"


class NotSecured(InstallationError):
    """Security is requested for a Kafka whose data were created without it."""


@dataclass(frozen=True)
class Broker:
    """A broker that was started here: its address, its process and its files.

    `listeners` has the address of each listener by name if the broker is secure, else nothing.
    """

    bootstrap_servers: str
    pid: int
    data: str
    log: str
    listeners: Mapping[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        """Its addresses for clients."""
        return [self.bootstrap_servers, *self.listeners.values()]

    @property
    def kafka(self) -> Kafka:
        """The connection to it."""
        return Kafka(self.bootstrap_servers)


def status(home: Path) -> Broker | None:
    """The running broker of this home, or None; the record of a crashed one does not count."""
    broker = _read_record(home)
    return broker if broker is not None and _find_process(home, broker) is not None else None


def address(home: Path) -> str:
    """The address of the embedded broker of this home, if it needs no profile.

    Raises BrokerUnavailable if it is down, AccessDenied if it is secure.
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
            f"The embedded Kafka of {home} accepts no client without a profile. Each program has "
            f"its own. Choose one with --kafka-profile: {', '.join(security.USERS)}."
        )
        raise AccessDenied(message)
    return broker.bootstrap_servers


def start(
    home: Path,
    java: Java,
    path: list[Path],
    port: int | None = None,
    *,
    secure: bool = False,
    session_ms: int = security.SESSION_MS,
) -> Broker:
    """Start the broker unless it is running; returns when it answers. Of several processes that
    start it at a time, one does and the others wait.

    `path` are the broker's jars. Without a port it takes that of its last run if it is free, so
    that clients find it again, else 9092 (unless it is secure), else any. `secure` accepts only
    clients that use TLS and authenticate, and do so again every `session_ms`; a broker that was
    created secure stays so. Raises PortTaken, NotSecured, and BrokerUnavailable if the broker does
    not start.
    """
    folder = (home / "kafka").resolve()
    _check_name(folder)
    with _check_writable(folder), _start_lock(folder):
        return _start_or_find(home, folder, java, path, port, secure, session_ms)


def _start_or_find(
    home: Path,
    folder: Path,
    java: Java,
    path: list[Path],
    port: int | None,
    secure: bool,
    session_ms: int,
) -> Broker:
    broker = status(home)
    if secure and not security.is_secure(home) and (broker or (folder / "data").exists()):
        message = (
            f"The embedded Kafka of {home} was created without security. Users are created with "
            f"its data. Choose another --home for a secure one, or stop it and remove {folder}."
        )
        raise NotSecured(message)
    if broker is not None:
        return broker
    if secure or security.is_secure(home):
        security.prepare(home)
    try:
        return _launch(home, folder, java, path, port, session_ms)
    except PortTaken:
        if port is not None:
            raise
        # Another program took it first: two that start at once choose the same free port.
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
    credentials = security.credentials(home) if security.is_secure(home) else []
    server_files.format_data(
        folder, [*tool, "-cp", classpath, "kafka.tools.StorageTool"], properties, credentials
    )
    log = folder / "broker.log"
    command = [*tool, "-cp", classpath, "kafka.Kafka", str(properties)]
    with processes.hold_signals():
        environ = lasting_environment(os.environ)
        process = processes.detach(command, folder / "broker.out", environ)
        address, *_ = addresses = [f"{HOST}:{port}" for port in listen.values()]
        listeners = dict(zip(listen, addresses, strict=True)) if security.is_secure(home) else {}
        broker = Broker(address, process.pid, str(folder / "data"), str(log), listeners)
        _write_record(home, broker)
        if listeners:
            security.write_profiles(home, listeners)
    try:
        _wait(process, broker, next(iter(listen.values())))
    except BaseException:
        processes.end(process)
        raise
    return broker


def _last_message(broker: Broker) -> str:
    """The last message of a broker that did not start."""
    log = Path(broker.log)
    for file in (log, log.with_suffix(".out")):
        if file.exists() and (text := file.read_bytes()[-_TAIL_BYTES:].strip()):
            return reason(text.decode("utf-8", "replace"))
    return "it said nothing"


def _check_name(folder: Path) -> None:
    """Raise BrokerUnavailable if Kafka would read the folder's name as several."""
    if "," in str(folder):
        message = (
            f"The folder {folder} has a comma in its name. To Kafka commas separate folders. "
            f"Choose another --home."
        )
        raise BrokerUnavailable(message)


@contextmanager
def _check_writable(folder: Path) -> Iterator[None]:
    """Raise BrokerUnavailable if the body cannot write to the folder."""
    try:
        yield
    except OSError as exc:
        message = (
            f"The folder {folder} cannot be written ({exc.strerror}). The embedded Kafka keeps its "
            f"data there. Free some space and let this user write there, or choose another --home."
        )
        raise BrokerUnavailable(message) from exc


@contextmanager
def _start_lock(folder: Path) -> Iterator[None]:
    """Create the folder, and hold the lock for starting its broker while the body runs."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / _LOCK).exists():
        files.check_regular(folder / _LOCK)
    with (folder / _LOCK).open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def stop(home: Path) -> Broker | None:
    """Stop the broker of this home; returns the one that was running, or None."""
    broker = _read_record(home)
    process = _find_process(home, broker) if broker is not None else None
    if process is not None:
        processes.end(process)
    return broker if process is not None else None


def _find_process(home: Path, broker: Broker) -> psutil.Process | None:
    return processes.find(broker.pid, str((home / "kafka" / "server.properties").resolve()))


def _read_record(home: Path) -> Broker | None:
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


def _write_record(home: Path, broker: Broker) -> None:
    draft = home / "broker.json.new"
    draft.write_text(json.dumps(asdict(broker), indent=2) + "\n", "utf-8")
    draft.replace(home / "broker.json")


def _listeners(home: Path) -> Sequence[str]:
    """The listeners for clients, first the one that --port is for."""
    return security.LISTENERS if security.is_secure(home) else UNSECURED


def _ports(home: Path, requested: int | None) -> tuple[dict[str, int], int]:
    """A port for each listener and one for the controller, all free now.

    Without `requested` the first listener gets the port of the last run, else Kafka's usual one if
    the broker is not secure, else any.
    """
    last, listeners = _read_record(home), _listeners(home)
    before = {} if last is None else {listeners[0]: last.bootstrap_servers, **last.listeners}
    usual = {
        listener: [int(before[listener].rsplit(":", 1)[1])] if listener in before else []
        for listener in listeners
    }
    if listeners == UNSECURED:
        usual[listeners[0]].append(ports.KAFKA)
    candidates = {listener: [*usual[listener], 0] for listener in listeners}
    if requested is not None:
        candidates[listeners[0]] = [requested]
    *listen, control = ports.choose({**candidates, "CONTROLLER": [0]}).values()
    return dict(zip(listeners, listen, strict=True)), control


def _wait(process: psutil.Process, broker: Broker, port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.status() != psutil.STATUS_ZOMBIE:
        if ports.is_listening(process, port):
            return
        time.sleep(0.05)
    if process.status() == psutil.STATUS_ZOMBIE:
        ports.choose({"": [port]})  # raises PortTaken if that is why
    message = (
        f"The embedded Kafka did not start on {broker.bootstrap_servers}: {_last_message(broker)}. "
        f"More is in its log {broker.log}. Fix the cause and start it again."
    )
    raise BrokerUnavailable(message)
