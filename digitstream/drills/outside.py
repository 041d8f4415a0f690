"""Drills that break what the scorer depends on: Kafka, the disk."""

from __future__ import annotations

import os
import subprocess
import time

from kafka import KafkaAdminClient, TopicPartition

from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground, is_root, kill_broker, restart_broker, until
from digitstream.drills.outcome import NOTHING_LOST, Broken, Impossible
from digitstream.machine.subcommands import CommandFailed

_DISK_BYTES = 1 << 20


@drill("broker-5s", "Kafka is killed and back after 5 seconds: the scorer waits it out.")
def _broker_5s(ground: Ground) -> str:
    return _without_broker(ground, 5, outwaits=True)


@drill(
    "broker-60s",
    "Kafka is killed and back after 60 seconds: the scorer waits it out, or stops with an "
    "explanation and goes on at the next start.",
)
def _broker_60s(ground: Ground) -> str:
    return _without_broker(ground, 60, outwaits=False)


def _without_broker(ground: Ground, seconds: int, *, outwaits: bool) -> str:
    sent = ground.send(10_000)
    scorer = ground.score()
    ground.await_answers(2_000, scorer)
    kill_broker(ground)
    ground.announce(f"is without Kafka for {seconds} s")
    time.sleep(seconds)
    restart_broker(ground)
    try:
        ground.await_answers(sent, scorer, patience=180)
        scorer.stop()
        how = "the scorer went on by itself"
    except CommandFailed as stopped:
        if outwaits or NOTHING_LOST not in str(stopped):
            raise
        ground.score("--available-now").result()
        how = "the scorer stopped with an explanation, and went on at its next start"
    return f"{how}; {ground.check_all_answered(sent)}"


@drill(
    "new-partitions",
    "The topic of readings gets more partitions: they are read from their first record on.",
)
def _new_partitions(ground: Ground) -> str:
    topic = ground.settings.topics.readings
    sent = ground.send(1_000)
    scorer = ground.score()
    ground.await_answers(sent, scorer)
    ground.announce("adds partitions")
    admin = KafkaAdminClient(**arguments(ground.settings.kafka))
    admin.create_partitions({topic: 5})
    admin.close()
    with open_log(ground.settings.kafka) as log:
        until(lambda: len(log.end([topic])[topic]) == 5, "five partitions")
    sent += ground.send(2_000)
    ground.await_answers(sent, scorer)
    scorer.stop()
    used = sum(part.scored > 0 for part in ground.accounts().partitions)
    return f"{used} of 5 partitions were written and read; {ground.check_all_answered(sent)}"


@drill(
    "retention",
    "Kafka deletes readings while the scorer is stopped: it reports their offsets, does nothing, "
    "and goes on without them only if told to.",
)
def _retention(ground: Ground) -> str:
    topic = ground.settings.topics.readings
    ground.send(1_000)
    ground.score("--available-now").result()
    ground.send(2_000)
    with open_log(ground.settings.kafka) as log:
        ends = log.end([topic])[topic]
    ground.announce("makes Kafka delete readings")
    admin = KafkaAdminClient(**arguments(ground.settings.kafka))
    admin.delete_records({TopicPartition(topic, part): end - 100 for part, end in ends.items()})
    admin.close()
    before = ground.answer_count()
    try:
        ground.score("--available-now").result()
    except CommandFailed as stopped:
        complaint = str(stopped)
    else:
        message = "the scorer went on as if nothing was lost"
        raise Broken(message)
    lost = [f"{topic}/{part} from" for part in ends]
    if not all(where in complaint for where in lost) or ground.answer_count() != before:
        message = f"it said: {complaint}"
        raise Broken(message)
    ground.score("--available-now", "--skip-lost").result()
    answered = ground.answer_count() - before
    if answered != 100 * len(ends):
        message = f"{answered} of {100 * len(ends)} readings that are there were answered"
        raise Broken(message)
    return (
        f"it reported all {len(ends)} ranges and stopped; with --skip-lost {answered} of "
        f"{answered} answered"
    )


@drill(
    "full-disk",
    "The disk of the checkpoint is full: the scorer stops with an explanation, and goes on when "
    "there is room.",
)
def _full_disk(ground: Ground) -> str:
    small = ground.settings.home / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(small)]
    if not is_root() or subprocess.run(mount, capture_output=True, check=False).returncode:
        message = "A small disk can only be mounted by root, on Linux. Run this drill as root."
        raise Impossible(message)
    try:
        checkpoints = ground.settings.home / "checkpoints"
        checkpoints.mkdir(exist_ok=True)
        (checkpoints / ground.settings.name).symlink_to(small)
        sent = ground.send(2_000)
        scorer = ground.score(in_a_batch=100)
        ground.await_answers(500, scorer)
        ballast = small / "ballast"
        ground.announce("fills the disk of the checkpoint")
        fill(ballast)
        try:
            ground.await_answers(sent, scorer)
        except CommandFailed as stopped:
            complaint = str(stopped)
        else:
            message = "the scorer did not notice that the disk is full"
            raise Broken(message)
        if NOTHING_LOST not in complaint:
            raise Broken(complaint)
        ballast.unlink()
        ground.score("--available-now").result()
        return f"it said: {complaint[:160]}...; then {ground.check_all_answered(sent)}"
    finally:
        subprocess.run(["umount", "-l", str(small)], capture_output=True, check=False)


def fill(file: os.PathLike[str]) -> None:
    """Write a file until the disk is full."""
    with open(file, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            return


@drill(
    "second-scorer",
    "A second scorer is started on the same checkpoint: it is refused, and the first one goes on.",
)
def _second_scorer(ground: Ground) -> str:
    sent = ground.send(1_000)
    scorer = ground.score()
    ground.await_answers(sent, scorer)
    try:
        ground.score("--available-now").result()
    except CommandFailed as refused:
        complaint = str(refused)
    else:
        message = "both scored"
        raise Broken(message)
    sent += ground.send(500)
    ground.await_answers(sent, scorer)
    scorer.stop()
    if "Another process scores" not in complaint:
        raise Broken(complaint)
    return f"refused; {ground.check_all_answered(sent)}"
