"""Kafka's client as Spark gets it: within bounds, in a heap that the bombs are too large for."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest

from contract.wire.bounds import CUT_BYTES, CUT_HEADERS
from digitstream.drills.ground import raw_batches
from digitstream.drills.ground.raw_batches import GZIP, UNCOMPRESSED
from digitstream.machine import jars, java
from digitstream.machine.bounded_client import ensure_bounded, start_jvm

HEADERS = [("ce_id", b"a-1"), ("x", None), ("", b"")]


@pytest.fixture(scope="module")
def jvm(java_17: java.Java, spark_jars: list[Path]) -> Iterator[Any]:
    """A Java of 64 MiB with the client alone."""
    spark = Path(pyspark.__file__).parent / "jars"
    [client] = [jar for jar in spark_jars if jar.name.startswith("kafka-clients-")]
    with start_jvm(java_17, [client, *spark.glob("slf4j-api-*.jar")], "-Xmx64m") as made:
        yield made


def read(jvm: Any, batch: bytes) -> list[tuple[int, int, int, int, list[str]]]:
    """Of each record offset, time, bytes of the key and of the value, and its headers' names."""
    buffer = jvm.java.nio.ByteBuffer.wrap(batch)
    records = jvm.org.apache.kafka.common.record.MemoryRecords.readableRecords(buffer)
    iterator, found = records.records().iterator(), []
    while iterator.hasNext():
        each = iterator.next()
        names = [header.key() for header in each.headers()]
        found.append((each.offset(), each.timestamp(), each.keySize(), each.valueSize(), names))
    return found


@pytest.mark.spark
@pytest.mark.parametrize("codec", [GZIP, UNCOMPRESSED])
def test_records_are_read_as_they_are(jvm: Any, codec: int) -> None:
    sent = [raw_batches.record(b"d", b"image", HEADERS, offset=at) for at in range(3)]
    sent.append(raw_batches.record(None, None, [], offset=3))
    assert read(jvm, raw_batches.batch(sent, codec=codec, stamp=7)) == [
        *[(at, 7, 1, 5, ["ce_id", "x", ""]) for at in range(3)],
        (3, 7, -1, -1, []),
    ]


@pytest.mark.spark
@pytest.mark.parametrize(("codec", "count"), [(GZIP, 8_000_000), (UNCOMPRESSED, 500_000)])
def test_of_too_many_headers_one_more_is_read_than_may_be(jvm: Any, codec: int, count: int) -> None:
    bomb = raw_batches.record(b"d", b"image", HEADERS, empty_headers=count)
    after = raw_batches.record(b"e", b"image", HEADERS, offset=1)
    bombed, whole = read(jvm, raw_batches.batch([bomb, after], codec=codec))
    assert bombed[:4] == (0, 0, 1, 5)
    assert len(bombed[4]) == CUT_HEADERS + 1
    assert whole == (1, 0, 1, 5, ["ce_id", "x", ""])


@pytest.mark.spark
def test_of_too_many_bytes_one_more_is_read_than_may_be(jvm: Any) -> None:
    sent = [
        raw_batches.record(b"d", bytes(100 << 20), HEADERS),
        raw_batches.record(bytes(100 << 20), b"image", HEADERS, offset=1),
        raw_batches.record(b"d", bytes(CUT_BYTES), HEADERS, offset=2),
    ]
    assert [(key, value) for _, _, key, value, _ in read(jvm, raw_batches.batch(sent))] == [
        (1, CUT_BYTES + 1),
        (CUT_BYTES + 1, 5),
        (1, CUT_BYTES),
    ]


@pytest.mark.spark
@pytest.mark.parametrize("size", [-5, 0, 3, 10_000, 10**9, 2**31 - 1])
def test_a_record_that_lies_about_its_size_is_read_by_its_fields(jvm: Any, size: int) -> None:
    sent = [raw_batches.record(b"d", b"image", HEADERS, offset=at, size=size) for at in range(2)]
    assert read(jvm, raw_batches.batch(sent)) == [
        (at, 0, 1, 5, ["ce_id", "x", ""]) for at in range(2)
    ]


@pytest.mark.spark
@pytest.mark.parametrize(
    ("time", "told"),
    [
        (-(2**63), 0),
        (-1, 0),
        (0, 0),
        (253_402_300_799_999, 253_402_300_799_999),
        (253_402_300_800_000, 253_402_300_799_999),
        (2**63 - 1, 253_402_300_799_999),
    ],
)
@pytest.mark.parametrize("codec", [GZIP, UNCOMPRESSED])
def test_a_time_that_is_none_is_read_as_the_nearest(
    jvm: Any, time: int, told: int, codec: int
) -> None:
    batch = raw_batches.batch([raw_batches.record(b"d", b"image", [])], codec=codec, stamp=time)
    assert read(jvm, batch) == [(0, told, 1, 5, [])]


@pytest.mark.spark
def test_the_second_time_asks_nobody(spark_jars: list[Path], java_17: java.Java) -> None:
    cache, nobody = jars.cache(os.environ), java.Java(Path("nowhere"))
    assert ensure_bounded(jars.ensure(jars.CONNECTOR, java_17, cache), nobody, cache) == spark_jars


@pytest.mark.slow
def test_a_copy_that_was_changed_is_made_anew(java_17: java.Java, tmp_path: Path) -> None:
    found = jars.ensure(jars.CONNECTOR, java_17, jars.cache(os.environ))
    [client] = [jar for jar in found if jar.name.startswith("kafka-clients-")]
    [copy] = ensure_bounded([client], java_17, tmp_path)
    with zipfile.ZipFile(copy) as jar:
        content = {name: jar.read(name) for name in jar.namelist()}
    with zipfile.ZipFile(copy, "a") as jar:
        jar.writestr("org/apache/kafka/Evil.class", b"")
    assert ensure_bounded([client], java_17, tmp_path) == [copy]
    with zipfile.ZipFile(copy) as jar:
        assert {name: jar.read(name) for name in jar.namelist()} == content


def test_a_client_that_cannot_be_changed_is_one_sentence(tmp_path: Path) -> None:
    client = tmp_path / "kafka-clients-9.jar"
    client.write_bytes(b"")
    with pytest.raises(jars.JarsUnavailable, match="could not be given bounds"):
        ensure_bounded([client], java.Java(tmp_path), tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [client]
