"""Records are read as they are, and cut where they are over our bounds; none stops its reader."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch

from contract.kafka import bounded_batches
from contract.kafka.bounded_batches import BoundedBatch
from contract.wire.bounds import CUT_BYTES, CUT_HEADERS, is_cut
from digitstream.drills.ground import raw_batches
from digitstream.drills.ground.raw_batches import UNCOMPRESSED

HEADERS = [("ce_id", b"a-1"), ("x", None), ("", b"")]
FIRST = 40
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def read(data: bytes) -> list[DefaultRecord]:
    """The records of a batch whose first record lies at offset 40."""
    placed = struct.pack(">q", FIRST) + bytes(data[8:])
    return list(BoundedBatch(DefaultRecordBatch(placed)))


def fields(records: list[DefaultRecord]) -> list[tuple[object, ...]]:
    return [(each.offset, each.timestamp, each.key, each.value, each.headers) for each in records]


ANYTHING = st.none() | st.binary(max_size=30)
SENT = st.lists(
    st.tuples(ANYTHING, ANYTHING, st.lists(st.tuples(st.text(max_size=9), ANYTHING), max_size=5)),
    min_size=1,
    max_size=9,
)


@given(SENT, st.sampled_from(sorted(CODECS)), st.integers(0, 2**62))
def test_what_is_within_bounds_is_read_as_it_was_sent(
    sent: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]],
    codec: str,
    time: int,
) -> None:
    builder = MemoryRecordsBuilder(2, CODECS[codec], 1 << 20)
    for number, (key, value, headers) in enumerate(sent):
        builder.append(time + number, key, value, headers)
    builder.close()
    assert fields(read(builder.buffer())) == [
        (FIRST + number, time + number, key, value, headers)
        for number, (key, value, headers) in enumerate(sent)
    ]


def test_java_s_snappy_has_blocks() -> None:
    builder = MemoryRecordsBuilder(2, CODECS["snappy"], 1 << 20)
    value = bytes(range(256)) * 400  # more than one block of 32 KiB
    builder.append(7, b"d", value, HEADERS)
    builder.close()
    assert fields(read(builder.buffer())) == [(FIRST, 7, b"d", value, HEADERS)]


@pytest.mark.parametrize("codec", [raw_batches.GZIP, UNCOMPRESSED])
def test_of_too_many_headers_one_more_is_read_than_may_be(codec: int) -> None:
    bomb = raw_batches.record(b"d", b"image", HEADERS, empty_headers=400_000)
    after = raw_batches.record(b"e", b"image", HEADERS, offset=1)
    cut, whole = read(raw_batches.batch([bomb, after], codec=codec))
    assert (cut.key, cut.value, cut.headers[:3]) == (b"d", b"image", HEADERS)
    assert len(cut.headers) == CUT_HEADERS + 1
    assert is_cut(cut.key, cut.value, cut.headers)
    assert fields([whole]) == [(FIRST + 1, 0, b"e", b"image", HEADERS)]


def test_of_a_large_value_one_byte_more_is_read_than_may_be() -> None:
    sent = [
        raw_batches.record(b"d", bytes(20 << 20), HEADERS),
        raw_batches.record(bytes(20 << 20), b"image", HEADERS, offset=1),
        raw_batches.record(b"d", bytes(CUT_BYTES), HEADERS, offset=2),
    ]
    value, key, most = read(raw_batches.batch(sent))
    assert (value.key, len(value.value), value.headers) == (b"d", CUT_BYTES + 1, HEADERS)
    assert (key.key, key.value, len(key.headers)) == (None, b"image", CUT_HEADERS + 1)
    assert len(most.value) == CUT_BYTES
    assert [is_cut(each.key, each.value, each.headers) for each in (value, key, most)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_becomes_too_large_has_its_records_all_the_same(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_batches, "BATCH_BYTES", 1 << 20)
    builder = MemoryRecordsBuilder(2, CODECS[codec], 1 << 30)
    for _ in range(3):
        builder.append(7, b"d", bytes(1 << 19), HEADERS)
    builder.close()
    found = read(builder.buffer())
    assert [each.offset for each in found] == [FIRST, FIRST + 1, FIRST + 2]
    assert all(is_cut(each.key, each.value, each.headers) for each in found)


@pytest.mark.parametrize("size", [-5, 0, 3, 10_000, 2**31 - 1])
def test_a_record_that_lies_about_its_size_is_read_by_its_fields(size: int) -> None:
    sent = [raw_batches.record(b"d", b"image", HEADERS, offset=at, size=size) for at in range(3)]
    assert fields(read(raw_batches.batch(sent))) == [
        (FIRST + at, 0, b"d", b"image", HEADERS) for at in range(3)
    ]


def damaged(sent: bytes) -> Iterator[bytes]:
    """The records of a batch with each byte changed in turn, and each end cut off."""
    for at in range(len(sent)):
        yield sent[:at] + bytes([sent[at] ^ 0x5A]) + sent[at + 1 :]
        yield sent[:at]


def test_whatever_a_batch_holds_each_of_its_offsets_is_there_once() -> None:
    sent = [raw_batches.record(b"d", b"image", HEADERS, offset=at) for at in range(3)]
    for data in damaged(b"".join(sent)):
        offsets = [each.offset for each in read(raw_batches.batch([data, b"", b""]))]
        assert offsets == [FIRST, FIRST + 1, FIRST + 2]


def test_a_batch_of_another_format_is_left_to_kafka_python() -> None:
    builder = MemoryRecordsBuilder(1, 0, 1 << 20)
    builder.append(7, b"d", b"image")
    builder.close()
    batch = bounded_batches._Batches(MemoryRecords(bytes(builder.buffer()))).next_batch()
    assert [(each.key, each.value) for each in batch] == [(b"d", b"image")]
