"""Ports of this machine: free ones, and who listens on them."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import psutil

from contract.errors import InstallationError

HOST = "127.0.0.1"

KAFKA = 9092
"""The port on which documents and tools expect a Kafka."""


class PortTaken(InstallationError):
    """Another program listens on the port that was asked for."""


def choose(candidates: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """For each name the first of its ports that is free (0 is any), all different.

    Raises PortTaken if none of a name's ports is free.
    """
    with ExitStack() as reserved:
        return {name: _bind(reserved, ports) for name, ports in candidates.items()}


def _bind(reserved: ExitStack, ports: Sequence[int]) -> int:
    """Bind the first of these ports that is free, until `reserved` closes; returns it."""
    for port in ports:
        listen = reserved.enter_context(socket.socket())
        try:
            listen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listen.bind((HOST, port))
            return int(listen.getsockname()[1])
        except OSError:
            continue
    message = (
        f"Port {ports[0]} of {HOST} is taken by another program. The embedded Kafka needs a port "
        f"of its own: choose another with --port, or leave --port out to take a free one."
    )
    raise PortTaken(message)


def is_listening(process: psutil.Process, port: int) -> bool:
    """Whether this process, not another one, listens on a port."""
    try:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        )
    except psutil.NoSuchProcess:
        return False
