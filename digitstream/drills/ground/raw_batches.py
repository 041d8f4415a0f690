"""Batches of records that no client would send, but that a broker accepts."""

from __future__ import annotations

import gzip
import socket
import struct
import time
from collections.abc import Sequence

from kafka.errors import for_code
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c, encode_varint

from contract.wire.headers import Headers

GZIP, UNCOMPRESSED = DefaultRecordBatchBuilder.CODEC_GZIP, DefaultRecordBatchBuilder.CODEC_NONE

_PRODUCE, _VERSION, _TIMEOUT_MS, _PAUSE_SECONDS = 0, 7, 10_000, 0.1


def varint(number: int) -> bytes:
    """A number in the encoding of Kafka's records."""
    written = bytearray()
    encode_varint(number, written.append)
    return bytes(written)


def record(
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    *,
    empty_headers: int = 0,
    offset: int = 0,
    size: int | None = None,
) -> bytes:
    """A record, with `empty_headers` after its headers; `size` is what it claims to have."""
    body = b"\0" + varint(0) + varint(offset) + _field(key) + _field(value)
    body += varint(len(headers) + empty_headers)
    body += b"".join(_field(name.encode()) + _field(content) for name, content in headers)
    body += b"\0\0" * empty_headers
    return varint(len(body) if size is None else size) + body


def batch(records: Sequence[bytes], *, codec: int = GZIP, stamp: int = 0) -> bytes:
    """A batch of these records, all with the timestamp `stamp`, in milliseconds since 1970."""
    data = b"".join(records)
    if codec == GZIP:
        data = gzip.compress(data, mtime=0)
    last, nobody = len(records) - 1, (-1, -1, -1)
    checked = struct.pack(">hiqqqhii", codec, last, stamp, stamp, *nobody, len(records)) + data
    head = struct.pack(">iBI", -1, 2, calc_crc32c(checked))
    return struct.pack(">qi", 0, len(head) + len(checked)) + head + checked


def send(bootstrap_servers: str, topic: str, partition: int, records: bytes) -> int:
    """Send a batch to a broker without security; returns the offset of its first record.

    Waits for a broker that does not lead the partition yet. Raises kafka-python's error for a
    refusal.
    """
    deadline = time.monotonic() + _TIMEOUT_MS / 1000
    while True:
        error, offset = _send_once(bootstrap_servers, topic, partition, records)
        if not error:
            return offset
        refusal = for_code(error)
        if not refusal.retriable or time.monotonic() > deadline:
            raise refusal
        time.sleep(_PAUSE_SECONDS)


def _send_once(servers: str, topic: str, partition: int, records: bytes) -> tuple[int, int]:
    """Send a batch; returns the broker's error code and the offset."""
    name, (host, port) = topic.encode(), servers.rsplit(":", 1)
    request = struct.pack(">hhihhhi", _PRODUCE, _VERSION, 1, -1, -1, -1, _TIMEOUT_MS)
    request += struct.pack(">ih", 1, len(name)) + name
    request += struct.pack(">iii", 1, partition, len(records)) + records
    with socket.create_connection((host, int(port)), _TIMEOUT_MS / 1000) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        with broker.makefile("rb") as answers:
            [size] = struct.unpack(">i", answers.read(4))
            answer = answers.read(size)
    error, offset = struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(name) + 4 + 4)
    return int(error), int(offset)


def _field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data
