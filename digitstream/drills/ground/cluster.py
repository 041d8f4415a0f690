"""A Kafka of several brokers for one drill. They can be killed one by one, or run in a network
namespace of their own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from contract.kafka.offsets import open_log
from contract.kafka.topics import ensure
from contract.settings.sources import environment
from digitstream.accounts import topic_reader
from digitstream.drills.ground.ground import Ground
from digitstream.drills.outcome import Broken
from digitstream.kafka import server_files
from digitstream.machine import jars, needs, processes
from digitstream.machine.java_text import lasting_environment, properties_text
from digitstream.machine.ports import HOST
from digitstream.machine.subcommands import Commands

_START_SECONDS = 300.0

_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=2
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.num.partitions=4
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
log.message.timestamp.type=LogAppendTime
"""


@dataclass(eq=False)
class Node:
    """One broker: its number, its address, and the command that starts it."""

    number: int
    folder: Path
    host: str
    port: int
    command: list[str]
    process: psutil.Process | None = None

    @property
    def address(self) -> str:
        """The address for clients."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it; it keeps its data."""
        environ = lasting_environment(os.environ)
        self.process = processes.detach(self.command, self.folder / "broker.out", environ)

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        if self.process is not None:
            for process in (*self.process.children(recursive=True), self.process):
                process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Stop it if it is running."""
        if self.process is not None and self.process.is_running():
            for process in (*self.process.children(recursive=True), self.process):
                processes.end(process, grace=5)

    def await_listening(self) -> None:
        """Return when it accepts connections; raises Broken if it does not start."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as attempt:
                attempt.settimeout(1)
                if attempt.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.1)
        message = f"broker {self.number} did not come up; its output is in {self.folder}"
        raise Broken(message)


@contextmanager
def cluster(
    ground: Ground, count: int, host: str = HOST, prefix: Sequence[str] = ()
) -> Iterator[tuple[Ground, list[Node]]]:
    """The ground with a Kafka of its own, as `start_brokers` starts it, and its nodes."""
    folder = ground.settings.home / "cluster" / ground.settings.prefix
    with ExitStack() as cleanup:
        nodes = cleanup.enter_context(start_brokers(folder, count, host, prefix))
        servers = addresses(nodes)
        settings = replace(ground.settings, bootstrap_servers=servers)
        ensure(settings.kafka, settings.topics)
        environ = {**ground.commands.settings, **environment(settings)}
        commands = cleanup.enter_context(Commands(ground.commands.logs, environ))
        reader = cleanup.enter_context(topic_reader.open_reader(settings.kafka))
        yield replace(ground, settings=settings, commands=commands, reader=reader), nodes


@contextmanager
def start_brokers(
    folder: Path, count: int, host: str = HOST, prefix: Sequence[str] = ()
) -> Iterator[list[Node]]:
    """Run `count` brokers while the body does, with their data in the folder and each topic on all
    of them. They listen on `host`; the command that starts them begins with `prefix`.
    """
    nodes = _prepare(folder, count, host, prefix)
    with ExitStack() as cleanup:
        for node in nodes:
            cleanup.callback(node.stop)
            node.start()
        for node in nodes:
            node.await_listening()
        yield nodes


def addresses(nodes: Sequence[Node]) -> str:
    """The addresses of the nodes, as clients take them."""
    return ",".join(node.address for node in nodes)


def leader(ground: Ground, topic: str, partition: int) -> int:
    """The number of the broker that leads a partition."""
    with open_log(ground.settings.kafka) as log:
        return log.leader(topic, partition)


def _prepare(folder: Path, count: int, host: str, prefix: Sequence[str]) -> list[Node]:
    """Write the files of the brokers, and format their data folders for the same cluster."""
    java, path = needs.find_java(), needs.fetch(jars.BROKER)
    free = _free_ports(host, 2 * count)
    ports, controllers = free[:count], free[count:]
    voters = ",".join(f"{at + 1}@{host}:{port}" for at, port in enumerate(controllers))
    identity = server_files.cluster_id()
    nodes = []
    for number, (port, controller_port) in enumerate(zip(ports, controllers, strict=True), 1):
        node_folder = (folder / str(number)).resolve()
        node_folder.mkdir(parents=True)
        properties, log4j = node_folder / "server.properties", node_folder / "log4j2.yaml"
        text = _PROPERTIES.format(
            node=number,
            voters=voters,
            host=host,
            port=port,
            controller_port=controller_port,
            data=node_folder / "data",
            copies=count,
            in_sync=max(count - 1, 1),
        )
        properties.write_bytes(properties_text(text))
        log4j.write_text(server_files.log4j(node_folder / "broker.log"), "utf-8")
        options = ["-Xmx384m", f"-Dlog4j2.configurationFile={log4j}", "-cp"]
        tool = [str(java.executable), *options, f"{path[0].parent}/*"]
        format_tool = [*tool, "kafka.tools.StorageTool"]
        server_files.format_data(node_folder, format_tool, properties, (), identity)
        command = [*prefix, *tool, "kafka.Kafka", str(properties)]
        nodes.append(Node(number, node_folder, host, port, command))
    return nodes


def _free_ports(host: str, count: int) -> list[int]:
    """Free ports: on loopback chosen by the system, else any, as the host serves one drill."""
    if host != HOST:
        return [9092 + at for at in range(count)]
    with ExitStack() as cleanup:
        sockets = [cleanup.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind((host, 0))
        return [int(listener.getsockname()[1]) for listener in sockets]
