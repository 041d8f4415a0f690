"""How every program of ours reaches Kafka: the one place that knows a client's arguments."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import kafka.errors

from contract.connection import Kafka
from contract.errors import BrokerUnavailable

PATIENCE_MS = 5_000
"""How long a client looks for a broker before it says that there is none."""


def arguments(kafka: Kafka) -> dict[str, Any]:
    """What kafka-python's producer, consumer and admin client are made with.

    Make the client inside `reaching`.
    """
    return {**kafka.arguments, "bootstrap_timeout_ms": PATIENCE_MS}


@contextmanager
def reaching(to: Kafka) -> Iterator[None]:
    """Raise BrokerUnavailable if nobody listens, or a client says that nobody answers.

    Somebody must listen before a client is made: one of kafka-python's that finds nobody leaves
    its thread and its sockets behind.
    """
    try:
        _knock(to.arguments["bootstrap_servers"])
        yield
    except (
        kafka.errors.BrokerNotAvailableError,
        kafka.errors.InvalidMetadataError,
        kafka.errors.KafkaTimeoutError,
        kafka.errors.MetadataEmptyBrokerList,
        kafka.errors.NodeNotReadyError,
        OSError,
        ValueError,
    ) as exc:
        message = (
            f"No Kafka broker answers at {to}. One must be running there. Start the "
            f"embedded one with `digitstream broker start`, or name yours with --bootstrap-servers."
        )
        raise BrokerUnavailable(message) from exc


def _knock(servers: list[str]) -> None:
    """Connect to one of the servers; raises OSError or ValueError if none can be."""
    for number, server in enumerate(servers, start=1):
        host, _, port = server.rpartition(":")
        try:
            with closing(
                socket.create_connection((host.strip("[]"), int(port)), PATIENCE_MS / 1e3)
            ):
                return
        except (OSError, ValueError):
            if number == len(servers):
                raise
