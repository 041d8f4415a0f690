"""Accounts for the readings that the tables hold, as `reconcile` does for those on the topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql.functions import col

from digitstream.reconcile import Counts, Partition, Reconciliation, accounted
from streaming.archive.place import Place
from streaming.archive.tables import DEAD_LETTERS, READINGS, SCORES, Table

Offsets = Mapping[int, Counts]
"""Partition -> the offsets (N) of its readings, in any order, each as often as it has rows."""


def reconcile(
    place: Place, topic: str, committed: Mapping[int, int] | None = None
) -> Reconciliation:
    """Account for the readings of a topic that are archived, by their answers that are.

    A reading may be ahead of its answer, by the archive's last commits: it is missing only if it is
    before both `committed`, where the scoring query stands if that is known, and the last reading
    of its partition with an answer. A row that is there twice counts as a duplicate. Raises
    NoTables.
    """
    readings, scores, letters = (
        _offsets(place, table, topic) for table in (READINGS, SCORES, DEAD_LETTERS)
    )
    partitions = [
        _partition(
            part,
            offsets,
            scores.get(part, np.empty(0, np.int64)),
            letters.get(part, np.empty(0, np.int64)),
            (committed or {}).get(part),
        )
        for part, offsets in sorted(readings.items())
    ]
    return Reconciliation(topic, partitions)


def _partition(
    part: int, readings: Counts, scores: Counts, letters: Counts, committed: int | None
) -> Partition:
    begin, size = int(readings.min()), int(readings.max() - readings.min()) + 1
    there, scored, dead = (_counted(each, begin, size) for each in (readings, scores, letters))
    answered = np.flatnonzero(scored + dead)
    stands = begin + (int(answered[-1]) + 1 if len(answered) else 0)
    absent = begin + np.flatnonzero(there == 0)
    stands = stands if committed is None else min(stands, committed)
    found = accounted(part, begin, scored, dead, absent, stands)
    again = int(np.maximum(there - 1, 0).sum())
    return found if not again else replace(found, duplicates=found.duplicates + again)


def _counted(offsets: Counts, begin: int, size: int) -> Counts:
    """How many rows each offset from `begin` on has."""
    inside = offsets[(offsets >= begin) & (offsets < begin + size)] - begin
    return np.bincount(inside, minlength=size)


def _offsets(place: Place, table: Table, topic: str) -> dict[int, NDArray[np.int64]]:
    """The offsets of the topic's readings that the rows of a table are about."""
    if table not in place.found:
        return {}
    rows = place.read(table).where(col("topic") == topic).select("partition", "offset")
    found: Any = rows.toPandas()
    part, offset = found["partition"].to_numpy(), found["offset"].to_numpy(np.int64)
    return {int(number): offset[part == number] for number in np.unique(part)}
