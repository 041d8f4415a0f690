"""Whole columns of Arrow: texts, times and Kafka's headers, without a Python loop over rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.wire.values.times import FIRST_MS, LAST_MS

HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
"""Kafka's headers in Spark's format."""

RECORDS = pa.schema(
    [
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("size", pa.int64()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("headers", HEADERS),
        ("many_headers", pa.bool_()),
    ]
)
"""The columns of `source.bounded`."""

NOWHERE: Mapping[str, object] = {
    "topic": "",
    "partition": -1,
    "offset": -1,
    "timestamp": datetime(1970, 1, 1, tzinfo=UTC),
}
"""The non-null values of an empty record, which has no place in Kafka."""

# Texts that need no escapes in JSON; all others go through json.dumps.
_PLAIN = r"^[ !#-\[\]-~]*$"

# Times of these years and this form, Arrow reads exactly; others are read one by one.
_TIME = r"^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"

# Lengths from which Kafka needs another byte to encode the length.
_VARINTS = (1 << 6, 1 << 13, 1 << 20, 1 << 27)


def texts(values: pa.BinaryArray) -> pa.StringArray:
    """The values as text; null where they are null or not UTF-8."""
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(value) for value in values.to_pylist()], pa.string())


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def quoted(values: pa.StringArray) -> pa.StringArray:
    """The texts as JSON strings, and `null`."""
    plain = pc.match_substring_regex(values, _PLAIN)
    written = joined('"', values, '"').fill_null("null")
    odd = pc.invert(plain).fill_null(False)
    if not pc.any(odd).as_py():
        return written
    singly = [json.dumps(text, ensure_ascii=False) for text in values.filter(odd).to_pylist()]
    return pc.replace_with_mask(written, odd, pa.array(singly, pa.string()))


def joined(*parts: pa.Array | str) -> pa.StringArray:
    """The parts of each row joined into a text; null where one of them is null."""
    columns = [part if isinstance(part, str) else part.cast(pa.string()) for part in parts]
    return pc.binary_join_element_wise(*columns, "")


def mapped(texts: pa.StringArray, function: Callable[[str], str | None]) -> pa.StringArray:
    """The function's result for each text; it is called once per distinct text."""
    encoded = texts.dictionary_encode()
    values = [function(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)


def sources(
    records: pa.RecordBatch, label: Callable[[str], str] = lambda topic: topic
) -> pa.StringArray:
    """The place of each record in Kafka, `topic/partition/offset`, with the topic's `label`: the
    ce_id of its answer.
    """
    topics = mapped(records["topic"], label)
    return joined(topics, "/", records["partition"], "/", records["offset"])


def blocks(rows: NDArray[np.float32]) -> pa.BinaryArray:
    """The rows (M, ...) of an array as binary values, without a copy."""
    ends = np.arange(len(rows) + 1, dtype=np.int32) * (rows.nbytes // max(len(rows), 1))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.Array.from_buffers(pa.binary(), len(rows), buffers)


def true(column: pa.BooleanArray) -> NDArray[np.bool_]:
    """Where the column is true; null is not."""
    return np.asarray(column.fill_null(False))


def wire_size(column: pa.Array) -> NDArray[np.int64]:
    """Bytes of each text or binary value in a Kafka record, including its length prefix."""
    size = np.asarray(pc.binary_length(column).fill_null(0)).astype(np.int64)
    return np.asarray(size + 1 + np.searchsorted(_VARINTS, size, side="right"))


def stamps(times: pa.TimestampArray) -> pa.StringArray:
    """Times in microseconds UTC in the wire format, `2026-01-31T09:15:00.123456Z`; times outside
    Kafka's range are moved to the nearest end of it.
    """
    microseconds = pc.max_element_wise(times.cast(pa.int64()), FIRST_MS * 1000, skip_nulls=False)
    microseconds = pc.min_element_wise(microseconds, LAST_MS * 1000, skip_nulls=False)
    return _written(microseconds.cast(pa.timestamp("us")))


def _written(times: pa.TimestampArray) -> pa.StringArray:
    date_and_time = times.cast(pa.timestamp("us")).cast(pa.string())
    return joined(pc.replace_substring(date_and_time, " ", "T"), "Z")


def restamped(values: pa.StringArray) -> pa.StringArray:
    """RFC 3339 texts in UTC in the wire format; null where they are null or of a rarer form."""
    usual = pc.if_else(pc.match_substring_regex(values, _TIME), values, None)
    try:
        return _written(usual.cast(pa.timestamp("us", "UTC")))
    except pa.ArrowInvalid:  # a 30th of February
        return pa.nulls(len(values), pa.string())


@dataclass(frozen=True, eq=False)
class Named:
    """The headers of one name: how many each record has (N), and the last value (N) or null."""

    count: NDArray[np.int64]
    value: pa.BinaryArray


@dataclass(frozen=True, eq=False)
class Headers:
    """The headers of N records, flattened: which record each belongs to, its key, its value."""

    records: int
    record: NDArray[np.int64]
    key: pa.StringArray
    value: pa.BinaryArray

    @classmethod
    def of(cls, column: pa.ListArray) -> Headers:
        """The headers in a Kafka column; null is a record without headers."""
        key, value = pc.list_flatten(column).flatten()
        return cls(len(column), pc.list_parent_indices(column).to_numpy(), key, value)

    def named(self, name: str) -> Named:
        """The headers with exactly this name."""
        at = np.flatnonzero(pc.equal(self.key, name).to_numpy(zero_copy_only=False))
        last = np.full(self.records, -1)
        last[self.record[at]] = at
        count = np.bincount(self.record[at], minlength=self.records)
        return Named(count, self.value.take(pa.array(last, pa.int64(), mask=last < 0)))

    def prefixed(self, prefix: str) -> Headers:
        """The same headers, with the prefix before their names."""
        return replace(self, key=joined(prefix, self.key))

    def beside(self, some: Mapping[str, pa.StringArray]) -> Headers:
        """The same headers after those in `some` columns (N), where null is no header."""
        rows = [np.flatnonzero(true(column.is_valid())) for column in some.values()]
        names = pa.array(some, pa.string()).take(
            pa.array(np.repeat(np.arange(len(rows)), [len(row) for row in rows]))
        )
        values = [column.drop_null().cast(pa.binary()) for column in some.values()]
        return Headers(
            self.records,
            np.concatenate([*rows, self.record]),
            pa.concat_arrays([names, self.key]),
            pa.concat_arrays([*values, self.value]),
        )

    def after(self, first: Mapping[str, pa.Array]) -> pa.ListArray:
        """A Kafka column: for each record the values of `first` (N), then these headers."""
        kinds = len(first)
        names = pa.array(first, pa.string()).take(
            pa.array(np.repeat(np.arange(kinds), self.records))
        )
        columns = [column.cast(pa.binary()) for column in first.values()]
        entries = pa.StructArray.from_arrays(
            [pa.concat_arrays([names, self.key]), pa.concat_arrays([*columns, self.value])],
            fields=list(HEADERS.value_type),
        )
        # Column k of record r is at k * N + r, the headers follow; then sorted by record.
        record = np.concatenate([np.tile(np.arange(self.records), kinds), self.record])
        offsets = np.searchsorted(np.sort(record), np.arange(self.records + 1)).astype(np.int32)
        order = pa.array(np.argsort(record, kind="stable"))
        return pa.ListArray.from_arrays(pa.array(offsets), entries.take(order), type=HEADERS)
