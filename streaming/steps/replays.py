"""Replays: restores the headers and the first place of readings that are sent again."""

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
    """The frame in which each replay has the headers that its device sent, a `first` place and an
    `attempt`.

    Only records of the topic of replays are replays: on other topics these headers are a device's
    own and mean nothing.
    """
    is_replay = true(pc.equal(frame.records["topic"], topics.replays))
    if not is_replay.any():
        return frame
    column = frame.records["headers"]
    # The source cuts the headers of a record that is too large without its value, or has too many.
    has_headers = true(frame.records["size"].is_null()) | true(column.is_valid())
    has_headers &= ~true(frame.records["many_headers"])
    replays: dict[int, Replay] = {}
    faults: dict[int, BadReading] = {}
    for row in np.flatnonzero(is_replay & has_headers).tolist():
        listed = [(header["key"], header["value"]) for header in column[row].as_py() or ()]
        try:
            replays[row] = _replay(listed, topics)
        except BadReading as fault:
            faults[row] = fault
    rows = list(replays)
    places = np.arange(len(column))
    places[rows] = len(column) + np.arange(len(rows))
    own = pa.array([_listed(replay.headers) for replay in replays.values()], HEADERS)
    at = frame.records.schema.get_field_index("headers")
    stripped = pa.concat_arrays([column, own]).take(pa.array(places))
    return replace(
        frame,
        records=frame.records.set_column(at, frame.records.schema.field(at), stripped),
        first=patched(frame.first, rows, [replay.first.id for replay in replays.values()]),
        attempt=patched(frame.attempt, rows, [str(replay.attempt) for replay in replays.values()]),
    ).failed(faults)


def _replay(listed: list[Header], topics: Topics) -> Replay:
    replay = Replay.of(None, None, listed)
    if replay.first.topic == topics.replays:
        detail = f"{headers.REPLAY_OF} is {replay.first.id}; it must be no replay itself"
        raise BadReading(reasons.BAD_HEADER, detail)
    return replay


def _listed(listed: tuple[Header, ...]) -> list[dict[str, object]] | None:
    return [{"key": name, "value": value} for name, value in listed] or None
