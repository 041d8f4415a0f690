"""How far a query has got, as its checkpoint on this machine tells."""

from __future__ import annotations

import json
from pathlib import Path

Positions = dict[int, int]
"""Partition -> offset."""


def committed(folder: Path, topic: str) -> Positions | None:
    """The offset, by partition, up to which the query is done with a topic.

    None where there is no such checkpoint: the query has not begun, or keeps it elsewhere.
    """
    numbers = (int(file.name) for file in folder.glob("commits/*") if file.name.isdigit())
    last = max(numbers, default=None)
    if last is None:
        return None
    # Spark's offset log: a version, the batch's metadata, then one line of JSON a source.
    sources = (folder / "offsets" / str(last)).read_text().splitlines()[2:]
    for source in map(json.loads, sources):
        if topic in source:
            return {int(partition): offset for partition, offset in source[topic].items()}
    return None
