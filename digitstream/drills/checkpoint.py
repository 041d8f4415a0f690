"""Drills that damage what a query depends on: its checkpoint, and the topic that it reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaAdminClient

from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.kafka.topics import ensure
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground, until
from digitstream.drills.outcome import Broken
from digitstream.health.status import status
from digitstream.machine.subcommands import CommandFailed

_IN_A_BATCH = 200


def _flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _overwrite(file: Path) -> None:
    file.write_bytes(bytes(range(256)))


def _remove(file: Path) -> None:
    file.unlink()


_DAMAGES: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("a flipped bit", _flip_a_bit),
    ("no bytes", _empty),
    ("noise", _overwrite),
    ("no file", _remove),
)


@drill(
    "checkpoint-damaged",
    "A file of the checkpoint is damaged: the scorer and reconcile name it and do nothing. Once "
    "that micro-batch's files are removed, the next start answers it again, with the same ids.",
)
def _checkpoint_damaged(ground: Ground) -> str:
    sent = ground.send(1_000)
    ground.score("--available-now", in_a_batch=_IN_A_BATCH).result()
    for title, damage in _DAMAGES:
        before, batch = ground.answer_count(), ground.batches("offsets")
        file = ground.checkpoint / "offsets" / str(batch)
        damage(file)
        for command in (ground.score("--available-now"), ground.reconcile()):
            complaint = _read_complaint(command.result, f"{title} in {file} went unnoticed")
            if str(file) not in complaint or "Traceback" in complaint:
                raise Broken(complaint)
        if ground.answer_count() != before:
            message = f"readings were answered on a checkpoint with {title}"
            raise Broken(message)
        for kind in ("offsets", "commits"):
            for name in (f"{batch}", f".{batch}.crc"):
                (ground.checkpoint / kind / name).unlink(missing_ok=True)
        ground.score("--available-now", in_a_batch=_IN_A_BATCH).result()
    return f"{len(_DAMAGES)} damages were named and fixed; {ground.check_all_answered(sent)}"


@drill(
    "topic-recreated",
    "The topic of readings is deleted and recreated: the scorer stops with an explanation, and "
    "answers the new one from its beginning if told to; no old answer counts for a new reading.",
)
def _topic_recreated(ground: Ground) -> str:
    ground.send(300)
    ground.score("--available-now").result()
    recreate(ground)
    sent = ground.send(500)
    complaint = _read_complaint(
        ground.score("--available-now").result, "the scorer went on as if it was the same topic"
    )
    if not re.search("made anew|recreated", complaint):
        raise Broken(complaint)
    accounts = ground.accounts()
    if accounts.total("in_flight") != sent or accounts.earlier != 300:
        message = (
            f"{accounts.total('in_flight')} of {sent} in flight, {accounts.earlier} of 300 earlier"
        )
        raise Broken(message)
    with open_log(ground.settings.kafka) as log:
        waiting = status(ground.reader, log, ground.settings, datetime.now(UTC)).waiting
    if waiting != sent:
        message = f"the status says that {waiting} of {sent} readings wait"
        raise Broken(message)
    ground.score("--available-now", "--skip-lost").result()
    return (
        f"the scorer stopped; then {ground.check_all_answered(sent)}, answers to the old topic 300"
    )


def recreate(ground: Ground) -> None:
    """Delete the topic of readings and create it again."""
    settings, topic = ground.settings, ground.settings.topics.readings
    admin = KafkaAdminClient(**arguments(settings.kafka))
    with open_log(settings.kafka) as log:
        admin.delete_topics([topic])
        until(lambda: not log.topic_ids([topic]), f"{topic} is deleted")
        admin.close()
        ensure(settings.kafka, settings.topics)
        until(lambda: log.topic_ids([topic]), f"{topic} is there again")


def _read_complaint(run: Callable[[], object], otherwise: str) -> str:
    """The message of a command that must fail; raises Broken if it does not."""
    try:
        run()
    except CommandFailed as failure:
        return str(failure)
    raise Broken(otherwise)
