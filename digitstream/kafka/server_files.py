"""The files of the embedded Kafka: its properties, its log's configuration, and its data folder."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from contract.errors import BrokerUnavailable
from digitstream.kafka import security
from digitstream.kafka.certificates import write_private
from digitstream.machine.java_text import properties_text, reason, utf8_locale
from digitstream.machine.ports import HOST

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

UNSECURED = """\
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
"""

# Java for a second: to compile hot code a second time would double its work.
_COMPILE_ONCE = "-XX:TieredStopAtLevel=1"

# Keeps control characters from clients out of the log, and line breaks outside stack traces.
_PATTERN = (
    r"%d{ISO8601} %p %replace{%m}{[\p{Cc}\p{Cf}]}{?} (%c{1})%n"
    r"%replace{%ex}{[\p{Cc}\p{Cf}&&[^\n\t]]}{?}"
)

LOG4J = """\
Configuration:
  status: error
  Appenders:
    RollingFile:
      name: file
      fileName: {log}
      filePattern: {rolled}
      PatternLayout: {{alwaysWriteExceptions: false, pattern: {pattern}}}
      Policies: {{SizeBasedTriggeringPolicy: {{size: 10MB}}}}
      DefaultRolloverStrategy: {{max: 2}}
  Loggers:
    Root: {{level: warn, AppenderRef: {{ref: file}}}}
    Logger: [{{name: kafka.server.KafkaRaftServer, level: info}}]
"""


def write(
    home: Path, folder: Path, ports: Mapping[str, int], controller_port: int, session_ms: int
) -> Path:
    """Write the broker's files; server.properties holds passwords if the broker is secure."""
    properties, names = folder / "server.properties", {"host": HOST}
    text = SERVER_PROPERTIES.format(**names, controller_port=controller_port, data=folder / "data")
    if security.is_secure(home):
        text += security.properties(home, HOST, ports, controller_port, session_ms)
    else:
        text += UNSECURED.format(**names, port=ports["PLAINTEXT"], controller_port=controller_port)
    write_private(properties, properties_text(text))
    (folder / "log4j2.yaml").write_text(log4j(folder / "broker.log"), "utf-8")
    return properties


def cluster_id() -> str:
    """A new cluster id."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def log4j(log: Path) -> str:
    """The configuration of the broker's log. JSON strings are valid in YAML."""
    texts = {"log": str(log), "rolled": f"{log}.%i", "pattern": _PATTERN}
    return LOG4J.format(**{name: json.dumps(text) for name, text in texts.items()})


def format_data(
    folder: Path,
    tool: list[str],
    properties: Path,
    credentials: Sequence[str],
    cluster: str | None = None,
) -> None:
    """Format an empty data folder, once, with a cluster id (else a new one) and the users."""
    if (folder / "data" / "meta.properties").exists():
        return
    options = ["--ignore-formatted", f"--cluster-id={cluster or cluster_id()}"]
    options += ["-c", str(properties)]
    # In a file, as all users can see a process' arguments.
    arguments = folder / "format.arguments"
    write_private(arguments, "\n".join(["format", *options, *credentials]).encode())
    try:
        done = subprocess.run(
            [tool[0], _COMPILE_ONCE, *tool[1:], f"@{arguments}"],
            env={**os.environ, **utf8_locale(os.environ)},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    finally:
        arguments.unlink()
    if done.returncode != 0:
        message = (
            f"The data folder {folder / 'data'} could not be formatted for Kafka: "
            f"{reason(done.stderr or done.stdout)}. "
            f"Remove {folder} and start again."
        )
        raise BrokerUnavailable(message)
