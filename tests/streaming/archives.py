"""An archive as a process of its own, what it is fed, and what its tables hold."""

from __future__ import annotations

import json
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from kafka import KafkaProducer

from contract.kafka.clients import arguments
from contract.settings.programs import Archiving
from contract.wire.events import DeadLetter, Label, Model, Score, Source, Times
from contract.wire.headers import ID
from contract.wire.messages import Message
from streaming.archive.tables import TABLES, Table
from tests.streaming.processes import log, process
from tests.streaming.records import STORED, reading
from tests.streaming.wire import messages

PATIENCE = 240

PROGRAM = """
import json, sys
from pathlib import Path
from contract.errors import DigitstreamError
from contract.settings.programs import Archiving
from streaming.archive.archiving import run

settings, jars = json.loads(sys.argv[1]), [Path(jar) for jar in sys.argv[2:]]
try:
    print(json.dumps(vars(run(Archiving(**{**settings, "home": Path(settings["home"])}), jars))))
except DigitstreamError as error:
    sys.exit(str(error))
"""


def archive_process(
    settings: Archiving, delta_jars: list[Path]
) -> AbstractContextManager[subprocess.Popen[str]]:
    return process(PROGRAM, settings, delta_jars)


def archived(settings: Archiving, delta_jars: list[Path]) -> dict[str, int]:
    """Archive all that is there; returns the rows added to each table."""
    with archive_process(settings, delta_jars) as archive:
        said, _ = archive.communicate(timeout=PATIENCE)
    assert archive.returncode == 0, log(settings)
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
    for entry in TABLES:
        found, sent = rows(settings, entry.name), messages_of(settings, entry)
        unread = [row for row in found if row.get("unread")]
        strays = [message for message in sent if message.value == b"what?"]
        assert len(unread) == len(strays)
        assert all(row["unread"]["headers"] == [{"key": ID, "value": b"\xff"}] for row in unread)
        kept = [row for row in found if not row.get("unread")]
        named = [tuple(row[name] for name in entry.key or entry.position) for row in kept]
        assert len(set(named)) == len(named)
        if entry.key:
            wanted = {identity(entry, message) for message in sent if message not in strays}
            assert set(named) == wanted
        else:
            assert len(kept) == len(sent) - len(strays)
            assert sorted(row["id"] for row in kept) == sorted(ids(entry, sent, strays))


def messages_of(settings: Archiving, each: Table) -> list[Message]:
    return messages(settings, each.topic(settings.topics))  # type: ignore[arg-type]


def identity(each: Table, message: Message) -> tuple[Any, ...]:
    if each.name == "scores":
        return Score.of(*message).source.place
    found = DeadLetter.of(*message)
    return (*found.source.place, found.attempt)


def ids(each: Table, sent: list[Message], strays: list[Message]) -> list[str]:
    good = [message for message in sent if message not in strays]
    if each.name == "labels":
        return [Label.of(*message).id for message in good]
    return [dict(message.headers)[ID].decode() for message in good]
