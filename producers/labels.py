"""Sends the readings' labels, with a delay."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from contract.wire.events import Label
from producers.records import Clock
from producers.sending import Outbox

LABEL = "label"
"""The tag by which the outbox counts labels."""


@dataclass
class Labels:
    """Labels that are sent `delay` seconds after their reading.

    Readings have priority: labels are sent in the time that the readings' rate leaves, and as fast
    as possible after the last reading. They are sent early only after a stop.
    """

    topic: str
    delay: float
    outbox: Outbox
    clock: Clock
    _waiting: deque[tuple[float, bytes, int]] = field(default_factory=deque)

    def add(self, id: bytes, label: int) -> None:
        """Add the label of a reading that is sent now."""
        self.outbox.expect(self.topic)
        self._waiting.append((time.monotonic() + self.delay, id, label))

    def send_due(self, seconds: float) -> None:
        """Send labels that are due, for at most so many seconds."""
        deadline = time.monotonic() + seconds
        while self._waiting and self._waiting[0][0] <= time.monotonic() < deadline:
            self._send()

    def send_rest(self, stop: threading.Event) -> None:
        """Send all remaining labels, each when it is due, or at once when `stop` is set."""
        while self._waiting:
            stop.wait(max(0.0, self._waiting[0][0] - time.monotonic()))
            self._send()
            self.outbox.settle()
        self.outbox.settle(0)

    def _send(self) -> None:
        _, id, label = self._waiting.popleft()
        now = datetime.fromtimestamp(self.clock() / 1e9, UTC)
        self.outbox.send(self.topic, Label(id.decode(), label, now).message(), LABEL)
