"""The first step: decodes a record's headers, and its image to raw bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.choices import Colour
from contract.wire import headers, images, reasons
from contract.wire.bounds import MOST_HEADERS
from contract.wire.events import Reading
from contract.wire.reasons import BadReading
from contract.wire.topics import Topics
from contract.wire.values import times
from streaming.steps.columns import Headers, restamped, texts, true
from streaming.steps.frame import Frame, patched
from streaming.steps.replays import unpacked


def decoded(frame: Frame, shape: images.Shape, topics: Topics, colour: Colour = "refuse") -> Frame:
    """Decode headers and payloads: raw images with the headers that we send as whole columns, all
    other records one by one, by the contract's codec.
    """
    frame = unpacked(frame, topics)
    all_headers = Headers.of(frame.records["headers"])
    read = {name: all_headers.named(name) for name in headers.ATTRIBUTES}
    plain = np.ones(len(frame.records), bool)
    for name in headers.REQUIRED:
        plain &= read[name].count == 1
    text = {name: texts(header.value) for name, header in read.items()}
    for name in (headers.ID, headers.SOURCE, headers.TYPE):
        plain &= true(pc.greater(pc.binary_length(text[name]), 0))
    plain &= true(pc.equal(text[headers.CONTENT_TYPE], images.RAW))
    version = read[headers.SPECVERSION].count
    plain &= (version == 0) | (version == 1) & true(
        pc.equal(text[headers.SPECVERSION], headers.VERSION)
    )
    time, device = restamped(text[headers.TIME]), texts(frame.records["key"])
    plain &= (read[headers.TIME].count == 0) | (read[headers.TIME].count == 1) & true(
        time.is_valid()
    )
    plain &= true(pc.equal(device.is_valid(), frame.records["key"].is_valid()))
    plain &= true(frame.records["value"].is_valid())
    columns = replace(
        frame, id=text[headers.ID], device=device, time=time, pixels=frame.records["value"]
    )
    rows = np.flatnonzero(~plain & true(frame.good)).tolist()
    return _singly(columns, rows, shape, colour)


def _singly(frame: Frame, rows: list[int], shape: images.Shape, colour: Colour) -> Frame:
    """The frame with these rows decoded one by one."""
    readings: list[tuple[str | None, str | None, str | None, bytes | None]] = []
    faults: dict[int, BadReading] = {}
    for row in rows:
        try:
            readings.append(_reading(frame.records, row, shape, colour))
        except BadReading as fault:
            faults[row] = fault
            readings.append((None, None, None, None))
    columns = zip(*readings, strict=True) if readings else ([], [], [], [])
    id_, device, time, pixels = (list(column) for column in columns)
    return replace(
        frame,
        id=patched(frame.id, rows, id_),
        device=patched(frame.device, rows, device),
        time=patched(frame.time, rows, time),
        pixels=patched(frame.pixels, rows, pixels),
    ).failed(faults)


def _reading(
    records: pa.RecordBatch, row: int, shape: images.Shape, colour: Colour
) -> tuple[str, str | None, str | None, bytes]:
    """One record's id, device, time and pixels; raises BadReading."""
    record = records.slice(row, 1).to_pylist()[0]
    if record["many_headers"]:
        detail = f"more than {MOST_HEADERS}; see its topic and offset"
        raise BadReading(reasons.TOO_MANY_HEADERS, detail)
    if record["size"] is not None:
        raise BadReading(reasons.TOO_LARGE, f"{record['size']} bytes; see its topic and offset")
    listed = [(header["key"], header["value"]) for header in record["headers"] or ()]
    reading = Reading.of(record["key"], record["value"], listed)
    is_grey = colour == "convert"
    pixels = images.decode(reading.payload, reading.content_type, shape, grey=is_grey)
    time = None if reading.time is None else times.stamp(reading.time)
    return reading.id, reading.device, time, pixels.tobytes()
