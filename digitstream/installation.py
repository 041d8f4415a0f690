"""An installation as one thing: its home, the embedded Kafka in it, commands that are set by it."""

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
    locked: bool = False,
    session_ms: int = security.SESSION_MS,
) -> Broker:
    """Start the embedded Kafka of a home as `server.start` does, with this machine's Java and jars.

    Raises what that raises, JavaMissing and JarsUnavailable.
    """
    path = needs.fetched(jars.BROKER)
    return server.start(home, needs.java_17(), path, port, locked=locked, session_ms=session_ms)


@contextmanager
def embedded_kafka(settings: S) -> Iterator[S]:
    """The settings with the address of their home's embedded Kafka, which runs while the body does,
    and on if it ran before.
    """
    ran_before = server.status(settings.home) is not None
    try:
        start_kafka(settings.home)
        yield replace(settings, bootstrap_servers=server.address(settings.home))
    finally:
        if not ran_before:
            server.stop(settings.home)


def commands_of(settings: Settings) -> Commands:
    """Commands that have the settings which all programs share, with logs in their home."""
    return Commands(settings.home / "logs", environment(settings))


def adopt(settings: Settings, champion: Bundle) -> None:
    """Make a bundle the champion of an installation's registry."""
    registry = settings.registry
    registry.promote(registry.register(champion, parameters={}))
