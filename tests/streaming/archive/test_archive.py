"""The archive as a process of its own: killed, stopped, hindered; read by others than Spark."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import duckdb
import psutil
import pytest
from kafka import KafkaAdminClient, TopicPartition

from contract.kafka.clients import arguments
from contract.settings.programs import Archiving, Rescoring
from contract.wire.events import Score, Source
from contract.wire.headers import TIME
from contract.wire.topics import Topics
from digitstream.drills.ground import raw_batches
from digitstream.kafka.server import Broker
from digitstream.machine import jars, java
from streaming.archive.tables import TABLES
from tests.listening import Listeners
from tests.streaming.archives import (
    PATIENCE,
    archive_process,
    archived,
    commits,
    filled,
    is_as_on_the_topics,
    rows,
    send,
    table,
)
from tests.streaming.poison import STAMPS, clients_set_times, put
from tests.streaming.processes import log, process
from tests.streaming.records import reading
from tests.streaming.wire import messages, until

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]

RESCORING = """
import json, sys
from datetime import datetime
from pathlib import Path
from contract.settings.programs import History, Rescoring
from streaming.query.rescoring import run

settings, jars = json.loads(sys.argv[1]), [Path(jar) for jar in sys.argv[2:]]
home = Path(settings["home"])
for name in ("from_timestamp", "to_timestamp"):
    settings[name] = datetime.fromisoformat(settings[name])
again = Rescoring(**{**settings, "home": home})
print(json.dumps(vars(run(again, jars, lambda line: None, History(home)))))
"""


@pytest.fixture(scope="module")
def delta_jars(java_17: java.Java, spark_jars: list[Path]) -> list[Path]:
    return [*spark_jars, *jars.ensure(jars.DELTA, java_17, jars.cache(os.environ))]


@pytest.fixture
def archiving(kafka_broker: Broker, topics: Topics, tmp_path: Path) -> Archiving:
    """Settings that archive what is on fresh topics, in small commits, and end."""
    return Archiving(
        home=tmp_path,
        bootstrap_servers=kafka_broker.bootstrap_servers,
        master="local[2]",
        prefix=topics.readings.removesuffix(".readings"),
        trigger=0,
        batch_records=40,
        available_now=True,
    )


@pytest.mark.long
@pytest.mark.parametrize("times", [2, 6])
def test_a_killed_archive_has_each_row_exactly_once(
    archiving: Archiving, delta_jars: list[Path], times: int
) -> None:
    filled(archiving, 250 * times)  # more commits than all kills wait for
    chance = random.Random(archiving.prefix)
    for _ in range(times):
        enough = commits(archiving) + chance.randint(1, 12)
        with archive_process(archiving, delta_jars) as archive:
            until(lambda enough=enough: commits(archiving) >= enough, PATIENCE)
            os.kill(archive.pid, signal.SIGKILL)
    rest = replace(archiving, batch_records=1_000)  # what is left, in fewer commits
    archived(rest, delta_jars)
    is_as_on_the_topics(archiving)
    assert archived(archiving, delta_jars) == dict.fromkeys((entry.name for entry in TABLES), 0)


@pytest.mark.long
def test_a_table_without_its_checkpoint_continues_after_its_last_row(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    filled(archiving, 60)
    archived(archiving, delta_jars)
    for entry in TABLES:
        checkpoint = archiving.home / "tables" / entry.name / "_checkpoint"
        checkpoint.rename(archiving.home / f"gone-{entry.name}")
    filled(archiving, 20)
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)


@pytest.mark.long
def test_pandas_and_duckdb_find_the_same_rows(archiving: Archiving, delta_jars: list[Path]) -> None:
    filled(archiving, 200)
    added = archived(archiving, delta_jars)
    counts = {entry.name: len(table(archiving, entry.name).to_pandas()) for entry in TABLES}
    assert counts == added
    connection = duckdb.connect()
    for entry in TABLES:
        connection.register(entry.name, table(archiving, entry.name).to_pyarrow_dataset())
    joined = """
        SELECT count(*), count(DISTINCT (partition, "offset")), sum(octet_length(value)),
               sum(CAST(prediction = label AS INT))
        FROM readings JOIN scores USING (topic, partition, "offset")
        JOIN labels ON labels.id = scores.id
    """
    frame = table(archiving, "readings").to_pandas()
    scores = table(archiving, "scores").to_pandas()
    both = frame.merge(scores, on=["topic", "partition", "offset"])
    assert len(both) == 150
    (found,) = connection.sql(joined).fetchall()
    assert found == (150, 150, int(both["value"].str.len().sum()), 150)


CLOCKS = {
    "0001-01-01T00:00:00Z": datetime(1, 1, 1, tzinfo=UTC),
    "1582-10-10T12:00:00Z": datetime(1582, 10, 10, 12, tzinfo=UTC),
    "2016-12-31T23:59:60Z": datetime(2017, 1, 1, tzinfo=UTC),
    "9999-12-31T23:59:59.999999Z": datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
}


@pytest.mark.long
def test_any_time_gives_one_row_that_others_can_read(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    prefix = clients_set_times(archiving.kafka, archiving.prefix)
    archiving = replace(archiving, prefix=prefix)
    for clock in CLOCKS:
        key, value, headers = reading()
        others = [header for header in headers if header[0] != TIME]
        sent = raw_batches.record(key, value, [*others, (TIME, clock.encode())])
        for stamp in STAMPS:
            put(archiving, sent, stamp=stamp)
    assert archived(archiving, delta_jars)["readings"] == len(CLOCKS) * len(STAMPS)
    found = rows(archiving, "readings")
    each = Counter((row["device_time"], row["broker_time"]) for row in found)
    assert each == Counter(product(CLOCKS.values(), STAMPS.values()))
    assert len(table(archiving, "readings").to_pandas()) == len(found)
    connection = duckdb.connect()
    connection.register("readings", table(archiving, "readings").to_pyarrow_dataset())
    assert connection.sql("SELECT count(DISTINCT device_time) FROM readings").fetchall() == [(4,)]


@pytest.mark.long
def test_a_signal_stops_after_the_commits_that_run(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    filled(archiving, 400)
    lasting = replace(archiving, available_now=False, batch_records=10)
    with archive_process(lasting, delta_jars) as archive:
        until(lambda: commits(archiving) > 12, PATIENCE)
        listeners = Listeners()
        listeners.look(psutil.Process(archive.pid))
        assert listeners.of("pyspark-shell") and listeners.elsewhere == []
        with archive_process(lasting, delta_jars) as second:
            assert second.wait(PATIENCE) == 1
        assert "Another process archives" in log(archiving)
        for member in psutil.Process(archive.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGTERM)  # as a service manager does
        archive.send_signal(signal.SIGTERM)
        output, _ = archive.communicate(timeout=PATIENCE)
    assert archive.returncode == 0, log(archiving)
    counts = {entry.name: len(rows(archiving, entry.name)) for entry in TABLES}
    assert json.loads(output) == counts
    assert counts["readings"] < 400
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)


@pytest.mark.long
def test_a_folder_that_cannot_be_written_is_one_sentence_and_nothing_is_lost(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    filled(archiving, 40)
    blocked = archiving.home / "tables" / "scores"
    blocked.parent.mkdir()
    blocked.write_text("no folder")
    with archive_process(archiving, delta_jars) as archive:
        assert archive.wait(PATIENCE) == 1
    output = log(archiving)
    assert f"The table file:{blocked} cannot be written" in output, output
    assert "Traceback" not in output and "\tat " not in output
    blocked.unlink()
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)


@pytest.mark.long
def test_tables_of_another_topic_are_refused(archiving: Archiving, delta_jars: list[Path]) -> None:
    send(archiving, archiving.topics.readings, [reading(1)])
    archived(archiving, delta_jars)
    other = replace(archiving, prefix=f"{archiving.prefix}-2")
    with archive_process(other, delta_jars) as archive:
        assert archive.wait(PATIENCE) == 1
    assert f"holds {archiving.topics.readings} as it was" in log(archiving)


@pytest.mark.long
def test_readings_that_kafka_no_longer_has_are_rescored_from_the_tables(
    archiving: Archiving, delta_jars: list[Path], registered: Path
) -> None:
    topics = archiving.topics
    for first in (0, 20, 40):
        send(archiving, topics.readings, [reading(number) for number in range(first, first + 20)])
    archived(archiving, delta_jars)
    admin = KafkaAdminClient(**arguments(archiving.kafka))
    admin.delete_records({TopicPartition(topics.readings, part): -1 for part in (0, 1)})
    admin.close()
    places = {
        Source(row["topic"], row["partition"], row["offset"]): row["broker_time"]
        for row in rows(archiving, "readings")
    }
    begin, end = (sorted(places.values())[at] for at in (20, 40))
    assert len(places) == 60 and begin < end
    settings = Rescoring(
        home=archiving.home,
        bootstrap_servers=archiving.bootstrap_servers,
        master="local[2,4]",
        prefix=archiving.prefix,
        tracking_uri=f"sqlite:///{registered.as_posix()}",
        engine="onnx",
        topic=f"{archiving.prefix}.again",
        from_timestamp=begin,
        to_timestamp=end,
    )
    with process(RESCORING, settings, delta_jars) as rescoring:
        output, _ = rescoring.communicate(timeout=PATIENCE)
    assert rescoring.returncode == 0, log(settings)
    found = {
        Source(*score.source.place): score.times.broker
        for score in (Score.of(*message) for message in messages(archiving, settings.topic))
    }
    assert found == {place: time for place, time in places.items() if begin <= time < end}
    assert json.loads(output) == {"scored": len(found), "dead_letters": 0}
