"""How far a query has got, as its checkpoint on this machine tells."""

from __future__ import annotations

import json
from collections.abc import Iterable
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
    return _of(topic, map(json.loads, sources))


def begun(folder: Path, topic: str) -> Positions | None:
    """The offset, by partition, from which on the query reads a topic.

    None where there is no such checkpoint. A partition that was added later is read from 0 on.
    """
    # Spark's note of the offsets with which it began: a zero byte, a version, a line of JSON.
    notes = [file.read_text().splitlines()[1:] for file in sorted(folder.glob("sources/*/0"))]
    return _of(topic, (json.loads(line) for lines in notes for line in lines))


def _of(topic: str, sources: Iterable[dict[str, dict[str, int]]]) -> Positions | None:
    for source in sources:
        if topic in source:
            return {int(partition): offset for partition, offset in source[topic].items()}
    return None
