"""Accounts for the readings in the tables, as `accounts.topics` does for those on the topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pyspark.sql.functions import col

from digitstream.accounts.ledger import Offsets, Partition, Topic
from digitstream.accounts.topics import Reconciliation
from streaming.archive.place import Place
from streaming.archive.tables import DEAD_LETTERS, READINGS, SCORES, Table


def reconcile(
    place: Place,
    topic: str,
    begun: Mapping[int, int] | None = None,
    committed: Mapping[int, int] | None = None,
) -> Reconciliation:
    """Account for the archived readings of a topic by their archived answers.

    Readings before the offsets at which the scoring query has `begun` do not count. The archive may
    commit a reading before its answer, so a reading is missing only if it is before both the
    query's `committed` offset, if that is known, and the last answered reading of its partition. A
    repeated row counts as a duplicate. Raises NoTables.
    """
    readings, scores, letters = (
        _offsets(place, table, topic) for table in (READINGS, SCORES, DEAD_LETTERS)
    )
    read = {
        part: offsets[offsets >= (begun or {}).get(part, 0)] for part, offsets in readings.items()
    }
    partitions = [
        _partition(
            part,
            offsets,
            scores.get(part, np.empty(0, np.int64)),
            letters.get(part, np.empty(0, np.int64)),
            (committed or {}).get(part),
        )
        for part, offsets in sorted(read.items())
        if len(offsets)
    ]
    return Reconciliation(topic, partitions)


def _partition(
    part: int, readings: Offsets, scores: Offsets, letters: Offsets, committed: int | None
) -> Partition:
    begin, end = int(readings.min()), int(readings.max()) + 1
    topic = Topic({part: (begin, end)})
    topic.note_answers("score", part, scores)
    topic.note_answers("dead letter", part, letters)
    answers = np.concatenate([scores, letters])
    answers = answers[(answers >= begin) & (answers < end)]
    limit = int(answers.max()) + 1 if len(answers) else begin
    rows = np.bincount(readings - begin)
    account = topic.account(
        part,
        absent=begin + np.flatnonzero(rows == 0),
        committed=limit if committed is None else min(limit, committed),
    )
    return replace(
        account, duplicates=account.duplicates + len(readings) - int(np.count_nonzero(rows))
    )


def _offsets(place: Place, table: Table, topic: str) -> dict[int, Offsets]:
    """By partition the offsets of the topic's readings in a table, unordered, one for each row."""
    if table not in place.tables:
        return {}
    rows = place.read(table).where(col("topic") == topic).select("partition", "offset")
    columns: Any = rows.toPandas()
    part, offset = columns["partition"].to_numpy(), columns["offset"].to_numpy(np.int64)
    return {int(number): offset[part == number] for number in np.unique(part)}
