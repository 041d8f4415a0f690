"""Records as the scoring query reads them, made from what a client sends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from contract.wire.events import Reading
from contract.wire.images import RAW, encode
from contract.wire.messages import Message
from streaming.steps.columns import RECORDS

SHAPE = (28, 28, 1)
TOPIC = "test.readings"
STORED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def image(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def reading(
    number: int = 0,
    *,
    id: str | None = None,
    device: str | None = "device-007",
    time: datetime | None = STORED - timedelta(milliseconds=250),
    content_type: str = RAW,
    payload: bytes | None = None,
) -> Message:
    """What a device sends; `payload` is a random image unless it is given."""
    sent = encode(image(number), content_type) if payload is None else payload
    return Reading(
        id=f"reading-{number}" if id is None else id,
        device=device,
        time=time,
        content_type=content_type,
        payload=sent,
        source="/devices/007",
    ).message()


def records(messages: Sequence[Message], first: int = 0, topic: str = TOPIC) -> pa.RecordBatch:
    """The messages as a batch of partition 1 from offset `first` on."""
    rows = [
        {
            "key": message.key,
            "value": message.value,
            "topic": topic,
            "partition": 1,
            "offset": first + number,
            "timestamp": STORED,
            "headers": [{"key": key, "value": value} for key, value in message.headers] or None,
        }
        for number, message in enumerate(messages)
    ]
    return pa.RecordBatch.from_pylist(rows, RECORDS)
