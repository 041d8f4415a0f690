"""The simulated devices: who they are and what they see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from kafka.partitioner import murmur2
from numpy.typing import NDArray

from contract.data.datasets import Dataset
from contract.wire import headers, images
from contract.wire.events import READING
from contract.wire.headers import Header
from contract.wire.messages import SPECVERSION
from producers.faults import Faults

NOISE = 2
"""A sensor's noise: every pixel is off by up to so many of its 255 steps, each time anew."""


@dataclass(frozen=True)
class Device:
    """A device: `device-007`, how far its clock is off, and what all of its messages share."""

    key: bytes
    offset_us: int
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, index: int, seed: int, content_type: str, clock_skew: float) -> Self:
        """The device of a number; it depends on nothing else, so that more devices change none.

        Its clock is off by up to `clock_skew` seconds, always the same.
        """
        name, skew_us = f"device-{index:03d}", round(clock_skew * 1e6)
        offset = np.random.default_rng([seed, index]).integers(-skew_us, skew_us + 1)
        shared = {
            headers.SPECVERSION: SPECVERSION,
            headers.SOURCE: f"/devices/{name}",
            headers.TYPE: READING,
            headers.CONTENT_TYPE: content_type,
        }
        return cls(
            key=name.encode(),
            offset_us=int(offset),
            headers=tuple((header, value.encode()) for header, value in shared.items()),
        )

    def partition(self, partitions: int) -> int:
        """Where Kafka's clients put the device's key; worked out once, not for each reading."""
        return int(murmur2(self.key) & 0x7FFFFFFF) % partitions


@dataclass(frozen=True, eq=False)
class Block:
    """The next N readings: which device (N,), what it sees (N, H, W, C), the truth (N,), and the
    kind of fault (N,), GOOD for none. `first` is the number of the first one.
    """

    first: int
    devices: NDArray[np.int64]
    pixels: images.Pixels
    labels: NDArray[np.int64]
    kinds: NDArray[np.int8]


def blocks(
    data: Dataset, devices: int, faults: Faults, count: int, size: int, rng: np.random.Generator
) -> Iterator[Block]:
    """`count` readings in blocks of `size`: images and devices at random, with sensor noise."""
    for first in range(0, count, size):
        n = min(size, count - first)
        chosen = rng.integers(len(data.images), size=n)
        yield Block(
            first=first,
            devices=rng.integers(devices, size=n),
            pixels=_seen(data.images[chosen], rng),
            labels=data.labels[chosen],
            kinds=faults.draw(n, rng),
        )


def _seen(pixels: images.Pixels, rng: np.random.Generator) -> images.Pixels:
    noise = rng.integers(2 * NOISE + 1, size=pixels.shape, dtype=np.uint8)
    noisy: images.Pixels = np.clip(pixels.astype(np.int16) + noise - NOISE, 0, 255).astype(np.uint8)
    return noisy
