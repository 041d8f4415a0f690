"""Turns blocks of readings into records for Kafka, with a timestamp when they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from contract.choices import Payload
from contract.wire import headers, images
from contract.wire.messages import Message
from contract.wire.values.times import stamp_of
from producers.devices import Block, Device
from producers.faults import DUPLICATE, GOOD, KINDS, NAMES

CONTENT_TYPES: dict[Payload, str] = {"raw": images.RAW, "png": images.PNG, "json": images.JSON}

Clock = Callable[[], int]
"""Nanoseconds since 1970, like `time.time_ns`."""


class Record(NamedTuple):
    """A message, its partition, its kind of fault, and the id and class for its label."""

    message: Message
    partition: int
    kind: int
    id: bytes
    label: int


@dataclass
class Records:
    """Makes records. `run` is the prefix of every ce_id, so that ids of two runs differ."""

    run: str
    devices: Sequence[Device]
    partitions: int
    payload: Payload
    clock: Clock
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self._partitions = [device.partition(self.partitions) for device in self.devices]
        self._last_good: Record | None = None

    def of(self, block: Block) -> Iterator[Record]:
        """The block's records in order, each with its device's time at the moment it is taken.

        A duplicate repeats the previous good record byte for byte; the first record is good
        instead.
        """
        chances = self.rng.integers(1 << 30, size=len(block.kinds))
        rows = zip(
            self._payloads(block.pixels),
            block.devices.tolist(),
            block.kinds.tolist(),
            block.labels.tolist(),
            strict=True,
        )
        run, clock = self.run.encode(), self.clock
        devices, partitions = self.devices, self._partitions
        for row, (payload, index, kind, label) in enumerate(rows):
            device = devices[index]
            id = b"%s-%d" % (run, block.first + row)
            time = (headers.TIME, stamp_of(clock() // 1000 + device.offset_us))
            message = Message(device.key, payload, [(headers.ID, id), time, *device.headers])
            record = Record(message, partitions[index], GOOD, id, label)
            if kind == DUPLICATE and self._last_good is not None:
                yield self._last_good._replace(kind=DUPLICATE)
            elif kind in (GOOD, DUPLICATE):
                self._last_good = record
                yield record
            else:
                damage = KINDS[NAMES[kind - 1]]
                damaged = damage(message, block.pixels[row], int(chances[row]))
                yield record._replace(message=damaged, kind=kind)

    def _payloads(self, pixels: images.Pixels) -> list[bytes]:
        if self.payload != "raw":
            return [images.encode(image, CONTENT_TYPES[self.payload]) for image in pixels]
        size, content = images.raw_size(pixels.shape[1:]), pixels.tobytes()
        return [content[start : start + size] for start in range(0, len(content), size)]
