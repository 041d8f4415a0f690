"""A hundred thousand hostile payloads: each gets its one answer, in bounded memory."""

from __future__ import annotations

import json
import resource
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.wire import images
from contract.wire.messages import Message
from contract.wire.structured import CONTENT_TYPE
from tests.streaming.odd import structured
from tests.streaming.records import image, reading
from tests.streaming.steps.test_pipeline import agrees

BATCH = 256
LARGER_MIB = 512
"""What the process may grow by: a batch of the largest readings, several times over."""

TYPES = (images.RAW, images.PNG, images.JSON, CONTENT_TYPE, "", "image/png; q=\xff", "a/b")


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and has nothing in it; its checksums are right."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


DEEP = 1_000_000
GIANTS = {
    images.PNG: [png_of(60_000, 60_000), png_of(2**31 - 1, 1), png_of(0, 0), png_of(28, 28)],
    images.JSON: [
        b"[" * DEEP,
        b'{"pixels":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a":' * (DEEP // 5) + b"1" + b"}" * (DEEP // 5),
        b'{"pixels": [[1e999, NaN, -Infinity]]}',
        b'{"pixels": ' + b"9" * DEEP + b"}",
        b'{"pixels": [[' + b"0," * (DEEP // 2) + b"0]]}",
        b'"' + b"\\ud800" * 1000 + b'"',
    ],
    CONTENT_TYPE: [
        b"[" * DEEP,
        b'{"data":' * (DEEP // 8),
        b'{"specversion":"1.0","data_base64":"' + b"=" * DEEP + b'"}',
    ],
    images.RAW: [b"\xff" * DEEP],
}

BASES = (
    (images.RAW, images.encode(image(1))),
    (images.PNG, images.encode(image(2), images.PNG)),
    (images.JSON, images.encode(image(3), images.JSON)),
    (CONTENT_TYPE, structured().value or b""),
)


def mutated(value: bytes, rng: np.random.Generator) -> bytes:
    """The value with some bytes changed, cut out, put twice, or strewn in."""
    found = bytearray(value)
    for _ in range(int(rng.integers(1, 5))):
        at, size = int(rng.integers(len(found) + 1)), int(rng.integers(1, 40))
        match int(rng.integers(5)):
            case 0:
                found[at : at + 1] = rng.bytes(1)
            case 1:
                del found[at : at + size]
            case 2:
                found[at:at] = found[at : at + size]
            case 3:
                found[at:at] = rng.bytes(size)
            case _:
                del found[at:]
    return bytes(found)


def hostile(count: int, rng: np.random.Generator) -> Iterator[Message]:
    """Readings with mutated payloads, noise, and now and then a payload of another type."""
    for number in range(count):
        content_type, value = BASES[int(rng.integers(len(BASES)))]
        kind = rng.random()
        if kind < 0.1:
            content_type = TYPES[int(rng.integers(len(TYPES)))]
        payload = rng.bytes(int(rng.integers(900))) if kind > 0.95 else mutated(value, rng)
        sent = reading(number, content_type=content_type, payload=payload)
        yield _unlike(sent, rng) if kind < 0.05 else sent


def _unlike(message: Message, rng: np.random.Generator) -> Message:
    """The message with a header that is null, noise, there twice or gone."""
    headers = list(message.headers)
    at = int(rng.integers(len(headers)))
    name, value = headers[at]
    change = int(rng.integers(4))
    headers[at : at + 1] = [
        [(name, None)],
        [(name, rng.bytes(20))],
        [(name, value), (name, rng.bytes(3))],
        [],
    ][change]
    return message._replace(headers=headers)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.parametrize("payloads", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_mutations_get_one_answer_each(payloads: int) -> None:
    before, rng = peak_mib(), np.random.default_rng(28)
    for _ in range(payloads // BATCH + 1):
        agrees(list(hostile(BATCH, rng)))
    assert peak_mib() - before < LARGER_MIB


@pytest.mark.parametrize("content_type", GIANTS)
def test_a_huge_record_gets_one_answer_and_little_memory(content_type: str) -> None:
    before = peak_mib()
    for payload in GIANTS[content_type]:
        agrees([reading(1), reading(2, content_type=content_type, payload=payload), reading(3)])
    assert peak_mib() - before < LARGER_MIB


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
pixels = st.lists(st.lists(st.integers(-1, 256) | st.floats(), max_size=30), max_size=30)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from([images.JSON, CONTENT_TYPE]),
            anything | st.fixed_dictionaries({"pixels": anything | pixels}),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(suppress_health_check=list(HealthCheck))
def test_any_json_gets_one_answer(values: list[tuple[str, object]]) -> None:
    agrees(
        [
            reading(number, content_type=content_type, payload=json.dumps(value).encode())
            for number, (content_type, value) in enumerate(values)
        ]
    )
