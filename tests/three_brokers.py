"""Three brokers that are one Kafka: each record on all of them, acknowledged by two."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kafka import KafkaAdminClient

from contract.clients import arguments
from contract.connection import Kafka
from digitstream import jars, java
from digitstream.broker import LOG4J

HOST = "127.0.0.1"
CLUSTER = "ZGlnaXRzdHJlYW0tdGVzdA"
START_SECONDS = 300.0

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
group.initial.rebalance.delay.ms=0
log.message.timestamp.type=LogAppendTime
"""


class ThreeBrokers:
    """The processes by node number, and the way to them."""

    def __init__(self, ports: list[int], processes: dict[int, subprocess.Popen[bytes]]) -> None:
        self.bootstrap_servers = ",".join(f"{HOST}:{port}" for port in ports)
        self._processes = processes

    def signal(self, node: int, number: int) -> None:
        """Send a signal to a broker."""
        self._processes[node].send_signal(number)


@contextmanager
def three_brokers(home: Path, java_17: java.Java) -> Iterator[ThreeBrokers]:
    """Three brokers that know each other, while the body runs."""
    path = jars.ensure(jars.BROKER, java_17, jars.cache(os.environ))
    ports = _free(6)
    voters = ",".join(f"{node}@{HOST}:{ports[2 + node]}" for node in (1, 2, 3))
    processes: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for node in (1, 2, 3):
            folder = home / str(node)
            folder.mkdir()
            (folder / "log4j2.yaml").write_text(LOG4J.format(log=folder / "broker.log"))
            properties = folder / "server.properties"
            properties.write_text(
                PROPERTIES.format(
                    node=node,
                    host=HOST,
                    port=ports[node - 1],
                    controller=ports[2 + node],
                    voters=voters,
                    data=folder / "data",
                )
            )
            logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}"
            tool = [str(java_17.executable), "-Xmx256m", logging, "-cp", f"{path[0].parent}/*"]
            form = ["kafka.tools.StorageTool", "format", f"--cluster-id={CLUSTER}", "-c"]
            subprocess.run([*tool, *form, str(properties)], check=True, capture_output=True)
            command = [*tool, "kafka.Kafka", str(properties)]
            processes[node] = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        brokers = ThreeBrokers(ports[:3], processes)
        _await(ports[:3])
        yield brokers
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def leader(kafka: Kafka, topic: str) -> int:
    """The node that leads the topic's first partition."""
    with KafkaAdminClient(**arguments(kafka)) as admin:
        [described] = admin.describe_topics([topic])
    return next(
        int(each["leader_id"]) for each in described["partitions"] if each["partition_index"] == 0
    )


def _free(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _await(ports: list[int]) -> None:
    deadline = time.monotonic() + START_SECONDS
    for port in ports:
        while time.monotonic() < deadline:
            with socket.socket() as attempt:
                attempt.settimeout(1)
                if attempt.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.1)
