"""Selections of readings, which do not depend on the micro-batch."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming.steps.frame import Frame

Selection = Callable[[Frame], NDArray[np.bool_]]
"""Which of a frame's records (N) are selected; Spark can send it to its workers."""


def everything(frame: Frame) -> NDArray[np.bool_]:
    """All readings."""
    return np.ones(len(frame.records), bool)


@dataclass(frozen=True)
class OfDevices:
    """The readings of a share of all devices; those without a device count as a single device."""

    share: float

    def __call__(self, frame: Frame) -> NDArray[np.bool_]:
        """Selected by a hash of the device's name."""
        devices = frame.device.fill_null("").dictionary_encode()
        names = devices.dictionary.to_pylist()
        selected = [zlib.crc32(name.encode()) < self.share * 2**32 for name in names]
        return np.asarray(np.array(selected, bool)[devices.indices.to_numpy()])


@dataclass(frozen=True)
class Except:
    """The readings that are not in another selection."""

    selection: Selection

    def __call__(self, frame: Frame) -> NDArray[np.bool_]:
        """The complement of the other selection."""
        return ~self.selection(frame)


@dataclass(frozen=True)
class Sample:
    """A share of the readings, whatever their device."""

    share: float

    def __call__(self, frame: Frame) -> NDArray[np.bool_]:
        """Selected by a hash of the place in Kafka."""
        partition, offset = (
            np.asarray(frame.records[name]).astype(np.uint64) for name in ("partition", "offset")
        )
        # Fibonacci hashing: its upper bits are evenly distributed for any offsets.
        mixed = (offset + (partition << np.uint64(40))) * np.uint64(0x9E3779B97F4A7C15)
        selected: NDArray[np.bool_] = (mixed >> np.uint64(32)) < np.uint64(
            round(self.share * 2**32)
        )
        return selected


@dataclass(frozen=True)
class Select:
    """The step that keeps only the readings of a selection."""

    selection: Selection

    def __call__(self, frame: Frame) -> Frame:
        """The frame with only these readings."""
        return frame.where(self.selection(frame))
