"""Limits on what kafka-python reads, so that no record can exhaust memory or stop its reader.

The limits are those of `contract.wire.bounds`. A record that cannot be read at all still appears at
its offset, with all of its content cut.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer, codec
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import ControlRecord, DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from contract.wire.bounds import CUT_BYTES, CUT_HEADERS, is_cut
from contract.wire.headers import Header

BATCH_BYTES = 64 << 20
"""Largest batch, in decompressed bytes. The records of a larger one have all their content cut."""

POLL_RECORDS = 100
"""Maximum records per poll of a consumer; each may have twice CUT_BYTES."""

_NOTHING: list[Header] = [("", None)] * (CUT_HEADERS + 1)

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16


def bound_batches(consumer: KafkaConsumer) -> KafkaConsumer:
    """Make a consumer apply the limits from now on; returns it."""
    consumer._fetcher.PartitionRecords = _Records
    return consumer


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """The records of one fetch."""

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Any:
        return super()._unpack_records(tp, _Batches(records), *deserializers)


class _Batches:
    """The batches of one fetch, with limits applied."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return BoundedBatch(batch) if isinstance(batch, DefaultRecordBatch) else batch


class BoundedBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python has no types
    """A batch in Kafka's format 2; yields every record, cut where it exceeds the limits."""

    _buffer: bytes
    _pos: int
    _decompressed: bool

    def __init__(self, batch: DefaultRecordBatch) -> None:
        super().__init__(batch._buffer)
        self._last, self._torn = -1, False

    def _maybe_uncompress(self) -> None:
        if self._decompressed:
            return
        self._decompressed = True
        if self.compression_type == self.CODEC_NONE:
            self._buffer = bytes(self._buffer)
            return
        self._assert_has_codec(self.compression_type)
        try:
            content = _CODECS[self.compression_type](bytes(self._buffer[self._pos :]), BATCH_BYTES)
        except Exception:  # decompressors raise all kinds of errors for foreign bytes
            content = None
        self._torn = content is None
        self._buffer, self._pos = content or b"", 0

    def __next__(self) -> DefaultRecord:
        if self._next_record_index >= self._num_records:
            raise StopIteration
        self._next_record_index += 1
        if not self._torn:
            try:
                return self._record()
            except (ValueError, IndexError):
                self._torn = True  # the start of the next record is unknown
        self._last = min(self._last + 1, self.last_offset_delta)
        time = self.max_timestamp if self.timestamp_type else self.first_timestamp
        offset = self.base_offset + self._last
        return DefaultRecord(0, offset, time, self.timestamp_type, None, None, _NOTHING)

    next = __next__

    def _record(self) -> DefaultRecord:
        """The next record; raises ValueError or IndexError if it cannot be read.

        Its end follows from its fields, not from the size it claims, as brokers accept any size.
        """
        buffer = self._buffer
        size, begin = decode_varint(buffer, self._pos)
        delta, at = decode_varint(buffer, begin + 1)
        time = self.max_timestamp if self.timestamp_type else self.first_timestamp + delta
        delta, at = decode_varint(buffer, at)
        length, at = decode_varint(buffer, at)
        key = None if length < 0 else buffer[at : at + length]
        at += max(length, 0)
        length, at = decode_varint(buffer, at)
        value = None if length < 0 else buffer[at : at + length]
        at += max(length, 0)
        count, at = decode_varint(buffer, at)
        headers: list[Header] = []
        for _ in range(min(count, CUT_HEADERS + 1)):
            length, at = decode_varint(buffer, at)
            if length < 0:
                message = "a header without a name"
                raise ValueError(message)
            end = at + length
            name = buffer[at:end].decode("utf-8", "replace")
            length, at = decode_varint(buffer, end)
            headers.append((name, None if length < 0 else buffer[at : at + length]))
            at += max(length, 0)
        if at > len(buffer) or count < 0 or not self._last < delta <= self.last_offset_delta:
            message = f"record {delta} after {self._last} with {count} headers up to {at}"
            raise ValueError(message)
        self._last = delta
        # Reading millions of headers one by one would take minutes.
        self._pos = at if count == len(headers) else max(at, begin + size)
        if at - begin > CUT_BYTES:
            key, value, headers = _cut(key, value, headers)
        kind = ControlRecord if self.is_control_batch else DefaultRecord
        offset = self.base_offset + delta
        return kind(size, offset, time, self.timestamp_type, key, value, headers)


def _cut(
    key: bytes | None, value: bytes | None, headers: list[Header]
) -> tuple[bytes | None, bytes | None, list[Header]]:
    """Key, value and headers of a record, cut to the limits."""
    if is_cut(key, None, headers):
        key, headers = None, _NOTHING
    return key, None if value is None else value[: CUT_BYTES + 1], headers


def _gunzip(data: bytes, most: int) -> bytes | None:
    return _within(gzip.GzipFile(fileobj=io.BytesIO(data)).read(most + 1), most)


def _decompress_zstd(data: bytes, most: int) -> bytes | None:
    decompressor = codec.zstd.ZstdDecompressor()
    with decompressor.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        return _within(reader.read(most + 1), most)


def _decompress_lz4(data: bytes, most: int) -> bytes | None:
    return _within(codec.lz4.LZ4FrameDecompressor().decompress(data, max_length=most + 1), most)


def _decompress_snappy(data: bytes, most: int) -> bytes | None:
    """Decompress plain Snappy, or the framing of Java's library: blocks, each after its size."""
    if not data.startswith(_XERIAL):
        return _decompress_snappy_block(data, most)
    at, blocks, left = _XERIAL_HEADER, [], most
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4])
        block = _decompress_snappy_block(data[at + 4 : end], left)
        if block is None:
            return None
        at, left = end, left - len(block)
        blocks.append(block)
    return b"".join(blocks)


def _decompress_snappy_block(data: bytes, most: int) -> bytes | None:
    """Decompress one block, which begins with its decompressed size."""
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return bytes(codec.snappy.decompress(data)) if size <= most else None


def _within(data: bytes, most: int) -> bytes | None:
    return data if len(data) <= most else None


_CODECS: dict[int, Callable[[bytes, int], bytes | None]] = {
    DefaultRecordBatch.CODEC_GZIP: _gunzip,
    DefaultRecordBatch.CODEC_SNAPPY: _decompress_snappy,
    DefaultRecordBatch.CODEC_LZ4: _decompress_lz4,
    DefaultRecordBatch.CODEC_ZSTD: _decompress_zstd,
}
"""Decompressors by codec: bytes and a limit -> decompressed bytes, None if over the limit."""
