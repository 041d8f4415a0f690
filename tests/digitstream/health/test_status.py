"""Whether a query runs, by the lock of its checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.home.checkpoint import lock_of
from contract.kafka.offsets import open_log
from contract.settings.programs import Scoring
from contract.wire.topics import Topics
from digitstream.accounts import topic_reader
from digitstream.health.status import LockUnreadable, Status, is_running, status
from digitstream.kafka.server import Broker
from streaming.spark.topic_ids import KnownTopics
from tests.contract.wire.test_events import PROGRESS

HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_holds_the_lock_runs(tmp_path: Path) -> None:
    lock = tmp_path / "digits.v2.lock"
    assert is_running(lock) is None
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert is_running(lock) is True
        lock.chmod(0o444)  # who may only read may look, too
        assert is_running(lock) is True
        holder.communicate("")
    assert is_running(lock) is False


def test_a_lock_that_cannot_be_opened_is_no_sign_of_life(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for lock in (tmp_path, pipe):
        with pytest.raises(LockUnreadable, match=r"Whether the query is running is unknown: .*\."):
            is_running(lock)


@pytest.mark.parametrize(
    ("running", "waiting", "seconds_ago", "runs"),
    [
        (True, 9, 900.0, True),
        (False, 0, 1.0, False),
        (None, 9, 1.0, True),
        (None, 0, 900.0, True),  # nothing to do
        (None, 9, 900.0, False),
    ],
)
def test_a_query_elsewhere_runs_unless_it_is_silent_while_readings_wait(
    running: bool | None, waiting: int, seconds_ago: float, runs: bool
) -> None:
    assert Status("scoring", running, PROGRESS, seconds_ago, waiting, "g", []).is_up is runs


@pytest.mark.kafka
def test_a_query_that_reads_other_topics_does_not_run_for_these(
    kafka_broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    scoring = Scoring(
        home=tmp_path,
        bootstrap_servers=kafka_broker.bootstrap_servers,
        prefix=topics.readings.removesuffix(".readings"),
    )
    KnownTopics({"other.readings": None}).write(scoring.topics_files)
    lock = lock_of(scoring.checkpoint)
    command = [sys.executable, "-c", HOLD, str(lock)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder,
        open_log(scoring.kafka) as log,
        topic_reader.open_reader(scoring.kafka) as reader,
    ):
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        elsewhere = status(reader, log, scoring, datetime.now(UTC))
        assert (elsewhere.running, elsewhere.is_up) == (True, False)
        assert (elsewhere.reads, elsewhere.unread) == (["other.readings"], [*scoring.input_topics])
        KnownTopics({scoring.input_topics[0]: None}).write(scoring.topics_files)
        assert status(reader, log, scoring, datetime.now(UTC)).is_up is True
        holder.communicate(b"")
