"""Where processes listen: what a test that starts them asserts."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

_GLANCE_SECONDS = 0.5


@dataclass
class Listeners:
    """The ports on which a process and all that it started listened, seen so far."""

    seen: set[tuple[str, str, int]] = field(default_factory=set)
    """Command line, address, port."""

    def look(self, *processes: psutil.Process) -> None:
        """Add the ports on which these processes and all of theirs listen now."""
        for process in processes:
            try:
                family = [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
            for member in family:
                self._look(member)

    def _look(self, process: psutil.Process) -> None:
        try:
            command = " ".join(process.cmdline())
            found = process.net_connections("inet")
        except psutil.Error:
            return
        self.seen |= {
            (command, at.laddr.ip, at.laddr.port) for at in found if at.status == psutil.CONN_LISTEN
        }

    @property
    def elsewhere(self) -> list[tuple[str, str, int]]:
        """Those that other machines can reach."""
        return [each for each in self.seen if not _is_loopback(each[1])]

    def of(self, word: str) -> int:
        """The number of ports of processes that have this word in their command lines."""
        return sum(word in command for command, _, _ in self.seen)


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


@contextmanager
def overheard(process: int) -> Iterator[Listeners]:
    """Where the process and all that it starts listen, while the body runs."""
    listeners, over = Listeners(), threading.Event()

    def follow() -> None:
        first = psutil.Process(process)
        while not over.wait(_GLANCE_SECONDS):
            listeners.look(first)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield listeners
    finally:
        over.set()
        thread.join()
