"""The simulated devices and their readings."""

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
"""Sensor noise: the largest random error of a pixel, whose range is 0 to 255."""


@dataclass(frozen=True)
class Device:
    """A device like `device-007`: its key, the error of its clock, and headers of all its
    messages.
    """

    key: bytes
    offset_us: int
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, index: int, seed: int, content_type: str, clock_skew: float) -> Self:
        """The device with that number; it is the same for any number of devices.

        The constant error of its clock is up to `clock_skew` seconds.
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
        """The partition that Kafka's clients choose for the device's key."""
        return int(murmur2(self.key) & 0x7FFFFFFF) % partitions


@dataclass(frozen=True, eq=False)
class Block:
    """The next N readings: devices (N,), images (N, H, W, C), true classes (N,) and kinds of fault
    (N,), GOOD for none. `first` is the number of the first reading.
    """

    first: int
    devices: NDArray[np.int64]
    pixels: images.Pixels
    labels: NDArray[np.int64]
    kinds: NDArray[np.int8]


def blocks(
    data: Dataset, devices: int, faults: Faults, count: int, size: int, rng: np.random.Generator
) -> Iterator[Block]:
    """`count` readings in blocks of `size`: random images and devices, with sensor noise."""
    for first in range(0, count, size):
        n = min(size, count - first)
        chosen = rng.integers(len(data.images), size=n)
        yield Block(
            first=first,
            devices=rng.integers(devices, size=n),
            pixels=_with_noise(data.images[chosen], rng),
            labels=data.labels[chosen],
            kinds=faults.draw(n, rng),
        )


def _with_noise(pixels: images.Pixels, rng: np.random.Generator) -> images.Pixels:
    noise = rng.integers(2 * NOISE + 1, size=pixels.shape, dtype=np.uint8)
    noisy: images.Pixels = np.clip(pixels.astype(np.int16) + noise - NOISE, 0, 255).astype(np.uint8)
    return noisy
