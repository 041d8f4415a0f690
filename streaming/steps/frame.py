"""The batch of readings that a step takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.wire.reasons import BadReading

Features = NDArray[np.float32]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """Readings between two steps, in Kafka's order.

    Columns have an entry for each of the N records, arrays for each of the M good ones.
    """

    records: pa.RecordBatch
    """key, value, size, topic, partition, offset, timestamp, headers, many_headers, from `source`;
    a replay has the headers that its device sent."""
    first: pa.StringArray
    """The first place of a replay's reading, when its device sent it; null if not a replay."""
    attempt: pa.StringArray
    """How often a replay's reading has been sent; null if not a replay."""
    id: pa.StringArray
    device: pa.StringArray
    time: pa.StringArray
    """By the device's clock, in the wire format; null if the reading has none."""
    pixels: pa.BinaryArray
    """The image as raw bytes; null where it could not be read."""
    stage: pa.StringArray
    """The step in which the reading failed; null while it is good."""
    reason: pa.StringArray
    features: Features
    """(M, H, W, C)"""
    probabilities: Probabilities
    """(M, K)"""

    @classmethod
    def of(cls, records: pa.RecordBatch) -> Frame:
        """The frame of records before the first step."""
        text, none = pa.nulls(len(records), pa.string()), np.empty((0, 0), np.float32)
        return cls(
            records=records,
            first=text,
            attempt=text,
            id=text,
            device=text,
            time=text,
            pixels=pa.nulls(len(records), pa.binary()),
            stage=text,
            reason=text,
            features=none,
            probabilities=none,
        )

    @property
    def good(self) -> pa.BooleanArray:
        """Which of the N records have not failed."""
        return pc.is_null(self.stage)

    def where(self, rows: NDArray[np.bool_]) -> Frame:
        """The frame with only these records (N)."""
        if rows.all():
            return self
        mask, good = pa.array(rows), np.asarray(self.good)
        columns = {
            name: getattr(self, name).filter(mask) for name in (*_COLUMNS, "stage", "reason")
        }
        good_rows = rows[good]
        features, probabilities = (
            array[good_rows] if len(array) == len(good_rows) else array
            for array in (self.features, self.probabilities)
        )
        return Frame(**columns, features=features, probabilities=probabilities)

    def failed(self, faults: Mapping[int, BadReading]) -> Frame:
        """The frame with these faults, by row."""
        rows = list(faults)
        return replace(
            self,
            stage=patched(self.stage, rows, [fault.stage for fault in faults.values()]),
            reason=patched(self.reason, rows, [fault.reason for fault in faults.values()]),
        )


_COLUMNS = ("records", "first", "attempt", "id", "device", "time", "pixels")

Step = Callable[[Frame], Frame]
"""A step of the query."""


def patched(column: pa.Array, rows: Sequence[int], values: Sequence[object]) -> pa.Array:
    """The column with these values in these rows, in ascending order."""
    if not rows:
        return column
    mask = np.zeros(len(column), bool)
    mask[list(rows)] = True
    return pc.replace_with_mask(column, pa.array(mask), pa.array(values, column.type))
