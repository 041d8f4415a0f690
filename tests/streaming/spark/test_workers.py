"""Python workers wait for nothing that they need not wait for."""

from __future__ import annotations

import gc
import io
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from uuid import uuid4

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from streaming.spark import workers
from streaming.spark.workers import _Acknowledging

SENT = bytes(range(256)) * 1_000


def told(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Whether this worker is hastened, and whether its objects are kept; then it is."""
    for _ in batches:
        mains = sys.modules["__main__"].worker_main.__module__ == workers.__name__
        kept = gc.get_freeze_count() > 0
        yield pa.RecordBatch.from_pydict({"mains": [mains], "kept": [kept]})
    workers.hasten()
    workers.keep_what_is_loaded()


@pytest.mark.spark
def test_a_worker_is_hastened_for_all_its_tasks(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(spark.sparkContext.environment, "DIGITSTREAM_TEST", uuid4().hex)
    asked = spark.range(1).coalesce(1).mapInArrow(told, "mains boolean, kept boolean")
    assert [tuple(asked.collect()[0]) for _ in range(3)] == [
        (False, False),
        (True, True),
        (True, True),
    ]


def test_acknowledged_bytes_are_complete() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as sender:
        receiver, _ = server.accept()

        def send() -> None:
            sender.sendall(SENT)
            sender.close()

        sending = threading.Thread(target=send)
        sending.start()
        with receiver, receiver.makefile("rb") as stream:
            raw = io.FileIO(receiver.fileno(), closefd=False)
            with io.BufferedReader(_Acknowledging(raw)) as acknowledged:
                assert acknowledged.read() == SENT
            assert stream.read() == b""
        sending.join()
