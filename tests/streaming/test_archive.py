"""The archive as a process of its own: killed, stopped, hindered; read by others than Spark."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from deltalake import DeltaTable
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from contract.clients import arguments
from contract.events import DeadLetter, Label, Model, Score, Source, Times
from contract.headers import ID
from contract.messages import Message
from contract.settings import Archiving
from contract.topics import Topics
from digitstream import jars, java
from digitstream.broker import Broker
from streaming.archive.tables import TABLES, Table
from tests.streaming.records import STORED, reading
from tests.streaming.wire import messages, until

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PATIENCE = 240

PROGRAM = """
import json, sys
from pathlib import Path
from contract.errors import DigitstreamError
from contract.settings import Archiving
from streaming.archive.archiving import run

settings, jars = json.loads(sys.argv[1]), [Path(jar) for jar in sys.argv[2:]]
try:
    print(json.dumps(vars(run(Archiving(**{**settings, "home": Path(settings["home"])}), jars))))
except DigitstreamError as error:
    sys.exit(str(error))
"""


RESCORING = """
import json, sys
from pathlib import Path
from contract.settings import History, Rescoring
from streaming.rescoring import run

given, jars = json.loads(sys.argv[1]), [Path(jar) for jar in sys.argv[2:]]
home = Path(given.pop("home"))
print(json.dumps(vars(run(Rescoring(home, **given), jars, lambda line: None, History(home)))))
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


@contextmanager
def archive_process(settings: Archiving, delta_jars: list[Path]) -> Iterator[subprocess.Popen[str]]:
    """A process that archives, with all it starts; none of them is left after the body."""
    given = json.dumps({**vars(settings), "home": str(settings.home)})
    command = [sys.executable, "-c", PROGRAM, given, *map(str, delta_jars)]
    with (
        (settings.home / "log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        ) as started,
    ):
        process = psutil.Process(started.pid)
        yield started
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        for member in reversed(family):
            member.kill()


def archived(settings: Archiving, delta_jars: list[Path]) -> dict[str, int]:
    """Archive all that is there; returns the rows added to each table."""
    with archive_process(settings, delta_jars) as process:
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (settings.home / "log").read_text()
    return dict(json.loads(said))


def table(settings: Archiving, name: str) -> DeltaTable:
    return DeltaTable(str(settings.home / "tables" / name))


def rows(settings: Archiving, name: str) -> list[dict[str, Any]]:
    return list(table(settings, name).to_pyarrow_table().to_pylist())


def commits(settings: Archiving) -> int:
    """Commits of all tables so far."""
    return len(list((settings.home / "tables").glob("*/_delta_log/*.json")))


def send(settings: Archiving, topic: str, sent: list[Message]) -> None:
    """Send the messages to the topic's two partitions in turn."""
    producer = KafkaProducer(**arguments(settings.kafka), acks="all")
    for number, message in enumerate(sent):
        producer.send(topic, message.value, message.key, message.headers, number % 2)
    producer.flush()
    producer.close()


def score(topic: str, number: int) -> Message:
    return Score(
        id=f"reading-{number}",
        device="device-007",
        prediction=number % 10,
        confidence=0.5,
        probabilities=(0.5, 0.25, 0.25),
        model=Model("digits", "1", "onnx"),
        source=Source(topic, number % 2, number // 2),
        times=Times(None, STORED, STORED),
    ).message()


def letter(topic: str, number: int) -> Message:
    source = Source(topic, number % 2, number // 2)
    return DeadLetter("decode", "empty: no bytes", source, 1, b"d", None, ()).message()


def filled(settings: Archiving, many: int) -> None:
    """Readings, their labels and their answers; of the answers some twice, some not ours."""
    topics, stray = settings.topics, Message(b"\xff", b"what?", [(ID, b"\xff")])
    send(settings, topics.readings, [reading(number % 50) for number in range(many)])
    labels = [Label(f"reading-{number}", number % 10, STORED).message() for number in range(many)]
    send(settings, topics.labels, [*labels, stray])
    good = [score(topics.readings, number) for number in range(many * 3 // 4)]
    send(settings, topics.scores, [*good, *good[many // 4 : many // 2], stray, *good[-10:], stray])
    bad = [letter(topics.readings, number) for number in range(many * 3 // 4, many)]
    send(settings, topics.dead_letters, [*bad, *bad[:20], stray])


def is_as_on_the_topics(settings: Archiving) -> None:
    """Each record of readings and labels, and each answer, is in its table exactly once."""
    for each in TABLES:
        found, sent = rows(settings, each.name), messages_of(settings, each)
        unread = [row for row in found if row.get("unread")]
        strays = [message for message in sent if message.value == b"what?"]
        assert len(unread) == len(strays)
        assert all(row["unread"]["headers"] == [{"key": ID, "value": b"\xff"}] for row in unread)
        kept = [row for row in found if not row.get("unread")]
        named = [tuple(row[name] for name in each.key or each.position) for row in kept]
        assert len(set(named)) == len(named)
        if each.key:
            wanted = {identity(each, message) for message in sent if message not in strays}
            assert set(named) == wanted
        else:
            assert len(kept) == len(sent) - len(strays)
            assert sorted(row["id"] for row in kept) == sorted(ids(each, sent, strays))


def messages_of(settings: Archiving, each: Table) -> list[Message]:
    return messages(settings, each.topic(settings.topics))  # type: ignore[arg-type]


def identity(each: Table, message: Message) -> tuple[Any, ...]:
    if each.name == "scores":
        return tuple(Score.of(*message).source)
    found = DeadLetter.of(*message)
    return (*found.source, found.attempt)


def ids(each: Table, sent: list[Message], strays: list[Message]) -> list[str]:
    good = [message for message in sent if message not in strays]
    if each.name == "labels":
        return [Label.of(*message).id for message in good]
    return [dict(message.headers)[ID].decode() for message in good]


@pytest.mark.long
@pytest.mark.parametrize("times", [2, 6])
def test_a_killed_archive_has_each_row_exactly_once(
    archiving: Archiving, delta_jars: list[Path], times: int
) -> None:
    filled(archiving, 400)
    chance = random.Random(archiving.prefix)
    for _ in range(times):
        enough = commits(archiving) + chance.randint(1, 12)
        with archive_process(archiving, delta_jars) as process:
            until(lambda enough=enough: commits(archiving) >= enough, PATIENCE)
            os.kill(process.pid, signal.SIGKILL)
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)
    assert archived(archiving, delta_jars) == dict.fromkeys((each.name for each in TABLES), 0)


@pytest.mark.long
def test_a_table_without_its_checkpoint_goes_on_after_what_it_holds(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    filled(archiving, 60)
    archived(archiving, delta_jars)
    for each in TABLES:
        checkpoint = archiving.home / "tables" / each.name / "_checkpoint"
        checkpoint.rename(archiving.home / f"gone-{each.name}")
    filled(archiving, 20)
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)


def test_pandas_and_duckdb_find_the_same_rows(archiving: Archiving, delta_jars: list[Path]) -> None:
    filled(archiving, 200)
    added = archived(archiving, delta_jars)
    counts = {each.name: len(table(archiving, each.name).to_pandas()) for each in TABLES}
    assert counts == added
    connection = duckdb.connect()
    for each in TABLES:
        connection.register(each.name, table(archiving, each.name).to_pyarrow_dataset())
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


@pytest.mark.long
def test_a_signal_stops_after_the_commits_that_run(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    filled(archiving, 400)
    lasting = replace(archiving, available_now=False, batch_records=10)
    with archive_process(lasting, delta_jars) as process:
        until(lambda: commits(archiving) > 12, PATIENCE)
        with archive_process(lasting, delta_jars) as second:
            assert second.wait(PATIENCE) == 1
        assert "Another process archives" in (archiving.home / "log").read_text()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (archiving.home / "log").read_text()
    counts = {each.name: len(rows(archiving, each.name)) for each in TABLES}
    assert json.loads(said) == counts
    assert counts["readings"] < 400
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)


@pytest.mark.long
def test_a_folder_that_takes_no_files_is_one_sentence_and_nothing_is_lost(
    archiving: Archiving, delta_jars: list[Path]
) -> None:
    filled(archiving, 40)
    blocked = archiving.home / "tables" / "scores"
    blocked.parent.mkdir()
    blocked.write_text("no folder")
    with archive_process(archiving, delta_jars) as process:
        assert process.wait(PATIENCE) == 1
    said = (archiving.home / "log").read_text()
    assert f"The table file:{blocked} cannot be written" in said, said
    assert "Traceback" not in said and "\tat " not in said
    blocked.unlink()
    archived(archiving, delta_jars)
    is_as_on_the_topics(archiving)


@pytest.mark.long
def test_tables_of_another_topic_are_refused(archiving: Archiving, delta_jars: list[Path]) -> None:
    send(archiving, archiving.topics.readings, [reading(1)])
    archived(archiving, delta_jars)
    other = replace(archiving, prefix=f"{archiving.prefix}-2")
    with archive_process(other, delta_jars) as process:
        assert process.wait(PATIENCE) == 1
    assert f"holds {archiving.topics.readings} as it was" in (archiving.home / "log").read_text()


@pytest.mark.long
def test_what_kafka_no_longer_has_is_scored_once_more_from_the_tables(
    archiving: Archiving, delta_jars: list[Path], registered: Path
) -> None:
    topics = archiving.topics
    send(archiving, topics.readings, [reading(number) for number in range(60)])
    archived(archiving, delta_jars)
    admin = KafkaAdminClient(**arguments(archiving.kafka))
    admin.delete_records({TopicPartition(topics.readings, part): -1 for part in (0, 1)})
    admin.close()
    times = sorted(row["broker_time"] for row in rows(archiving, "readings"))
    given = {
        "home": str(archiving.home),
        "bootstrap_servers": archiving.bootstrap_servers,
        "master": "local[2,4]",
        "prefix": archiving.prefix,
        "tracking_uri": f"sqlite:///{registered.as_posix()}",
        "engine": "onnx",
        "topic": f"{archiving.prefix}.again",
    }
    command = [sys.executable, "-c", RESCORING, json.dumps(given), *map(str, delta_jars)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"scored": 60, "dead_letters": 0}
    found = [Score.of(*each) for each in messages(archiving, given["topic"])]
    assert sorted(each.source for each in found) == [
        Source(topics.readings, part, offset) for part in (0, 1) for offset in range(30)
    ]
    assert sorted(each.times.broker for each in found) == times
