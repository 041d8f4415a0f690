"""Readings that are sent again: who they were, before anything else is read of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.wire import headers, reasons
from contract.wire.headers import Header
from contract.wire.reasons import BadReading
from contract.wire.replays import Replay
from contract.wire.topics import Topics
from streaming.steps.columns import HEADERS, true
from streaming.steps.frame import Frame, patched


def unpacked(frame: Frame, topics: Topics) -> Frame:
    """The frame in which each replay is the record that its device sent, and has a `first` place
    and an `attempt`.

    Only records of the topic of replays can be any: on all other topics the same headers are a
    device's own and mean nothing.
    """
    again = true(pc.equal(frame.records["topic"], topics.replays))
    if not again.any():
        return frame
    column = frame.records["headers"]
    # Of a record that is too large by its key and headers alone, or has too many, these did not
    # come along.
    came = true(frame.records["size"].is_null()) | true(column.is_valid())
    came &= ~true(frame.records["many_headers"])
    rows = np.flatnonzero(again & came)
    found: dict[int, Replay] = {}
    faults: dict[int, BadReading] = {}
    for row in rows.tolist():
        listed = [(each["key"], each["value"]) for each in column[row].as_py() or ()]
        try:
            found[row] = _replay(listed, topics)
        except BadReading as fault:
            faults[row] = fault
    kept = list(found)
    taken = np.arange(len(column))
    taken[kept] = len(column) + np.arange(len(kept))
    own = pa.array([_listed(each.headers) for each in found.values()], HEADERS)
    at = frame.records.schema.get_field_index("headers")
    stripped = pa.concat_arrays([column, own]).take(pa.array(taken))
    return replace(
        frame,
        records=frame.records.set_column(at, frame.records.schema.field(at), stripped),
        first=patched(frame.first, kept, [each.first.id for each in found.values()]),
        attempt=patched(frame.attempt, kept, [str(each.attempt) for each in found.values()]),
    ).failed(faults)


def _replay(listed: list[Header], topics: Topics) -> Replay:
    found = Replay.of(None, None, listed)
    if found.first.topic == topics.replays:
        detail = f"{headers.REPLAY_OF} is {found.first.id}; it must be no replay itself"
        raise BadReading(reasons.BAD_HEADER, detail)
    return found


def _listed(listed: tuple[Header, ...]) -> list[dict[str, object]] | None:
    return [{"key": name, "value": value} for name, value in listed] or None
