"""An installation: its home, the embedded Kafka in it, and commands with its settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from contract.settings.programs import Settings
from contract.settings.sources import environment
from digitstream.kafka import security, server
from digitstream.kafka.server import Broker
from digitstream.machine import jars, needs
from digitstream.machine.subcommands import Commands

if TYPE_CHECKING:
    from contract.model.bundle import Bundle

S = TypeVar("S", bound=Settings)


def start_kafka(
    home: Path,
    port: int | None = None,
    *,
    secure: bool = False,
    session_ms: int = security.SESSION_MS,
) -> Broker:
    """Start the embedded Kafka of a home with this machine's Java and jars.

    See `server.start`. Raises what that raises, JavaMissing and JarsUnavailable.
    """
    path = needs.fetch(jars.BROKER)
    return server.start(home, needs.find_java(), path, port, secure=secure, session_ms=session_ms)


@contextmanager
def embedded_kafka(settings: S) -> Iterator[S]:
    """Run the embedded Kafka of the settings' home while the body runs; yields the settings with
    its address. A Kafka that was already running is left running.
    """
    ran_before = server.status(settings.home) is not None
    try:
        start_kafka(settings.home)
        yield replace(settings, bootstrap_servers=server.address(settings.home))
    finally:
        if not ran_before:
            server.stop(settings.home)


def commands_of(settings: Settings) -> Commands:
    """Commands with the settings that all programs share, and logs in their home."""
    return Commands(settings.home / "logs", environment(settings))


def adopt(settings: Settings, champion: Bundle) -> None:
    """Register a bundle in an installation's registry, and make it the champion."""
    registry = settings.registry
    registry.promote(registry.register(champion, parameters={}))
