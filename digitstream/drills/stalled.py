"""Drills of a Kafka that hangs while readings arrive: it is paused, or its disk is full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from contract.kafka.topics import ensure
from digitstream.accounts import topic_reader
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground, is_root, until
from digitstream.drills.outcome import NOTHING_LOST, Broken, Impossible
from digitstream.drills.outside import fill
from digitstream.installation import start_kafka
from digitstream.kafka import server
from digitstream.machine.subcommands import Command, CommandFailed

_PAUSE_SECONDS = 30
_DISK_BYTES = 64 << 20
_COUNT, _RATE = 15_000, "300"
_STARTING_SECONDS = 600.0
"""How long the scorer may take to its first answers."""

_STUCK_SECONDS = 180.0
"""How long a producer may go on once Kafka is back, before it counts as stuck."""


@drill(
    "broker-paused",
    "Kafka is paused (SIGSTOP) for 30 seconds while readings arrive: the producer waits it out or "
    "ends with exact counts, the scorer goes on or stops with an explanation, and nothing is lost.",
)
def _broker_paused(ground: Ground) -> str:
    scorer = ground.score()
    sending = ground.start_sending(_COUNT, rate=_RATE)
    ground.await_answers(1_000, scorer, _STARTING_SECONDS)
    with _pause(ground):
        ground.announce(f"pauses Kafka for {_PAUSE_SECONDS:.0f} s")
        time.sleep(_PAUSE_SECONDS)
    return check_all_accounted(ground, _COUNT, sending, scorer)


@drill(
    "broker-full-disk",
    "The disk of Kafka's log is full, then there is room and Kafka is started again: the producer "
    "waits it out or ends with exact counts, the scorer goes on or stops with an explanation, and "
    "nothing is lost.",
)
def _broker_full_disk(ground: Ground) -> str:
    with _kafka_on_small_disk(ground) as (elsewhere, disk):
        to = ("--bootstrap-servers", str(elsewhere.settings.bootstrap_servers))
        scorer = elsewhere.score(*to)
        sending = elsewhere.start_sending(_COUNT, *to, rate=_RATE)
        elsewhere.await_answers(1_000, scorer, _STARTING_SECONDS)
        ballast, home = disk / "ballast", _small_home(ground)
        ground.announce("fills the disk of Kafka's log")
        fill(ballast)
        until(lambda: server.status(home) is None, "Kafka's end on a full disk")
        ballast.unlink()
        ground.announce("makes room and starts Kafka again")
        start_kafka(home)
        return check_all_accounted(elsewhere, _COUNT, sending, scorer, *to)


@contextmanager
def _pause(ground: Ground) -> Iterator[None]:
    """Pause Kafka (SIGSTOP) while the body runs."""
    running = server.status(ground.settings.home)
    if running is None:
        message = "Kafka does not run"
        raise Broken(message)
    os.kill(running.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.pid, signal.SIGCONT)


@contextmanager
def _kafka_on_small_disk(ground: Ground) -> Iterator[tuple[Ground, Path]]:
    """The ground with a Kafka of its own, whose log is on a disk of 64 MiB."""
    home = _small_home(ground)
    disk = home / "kafka" / "data"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(disk)]
    if not is_root() or subprocess.run(mount, capture_output=True, check=False).returncode:
        message = "A small disk can only be mounted by root, on Linux. Run this drill as root."
        raise Impossible(message)
    try:
        kafka = start_kafka(home)
        settings = replace(ground.settings, bootstrap_servers=kafka.bootstrap_servers)
        ensure(settings.kafka, settings.topics)
        with topic_reader.open_reader(settings.kafka) as reader:
            yield replace(ground, settings=settings, reader=reader), disk
    finally:
        server.stop(home)
        subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)


def _small_home(ground: Ground) -> Path:
    """The home of the Kafka whose log is on a small disk."""
    return ground.settings.home / "small-disk"


def check_all_accounted(
    ground: Ground, count: int, sending: Command, scorer: Command, *to: str
) -> str:
    """Raise Broken unless the producer's counts are right and each reading has its answer.

    Returns what was observed.
    """
    ground.announce("waits for the producer's end")
    until(lambda: sending.has_ended, "the producer's end", _STUCK_SECONDS)
    acknowledged, unknown = _read_counts(ground, sending)
    how = "the producer waited it out" if acknowledged == count else "the producer ended"
    try:
        ground.await_answers(acknowledged, scorer, _STUCK_SECONDS)
        scorer.stop()
        how += ", the scorer went on"
    except CommandFailed as stopped:
        if NOTHING_LOST not in str(stopped):
            raise
        how += ", the scorer stopped with an explanation and went on at its next start"
    ground.score("--available-now", *to).result()
    stored = ground.accounts().total("produced")
    seen = f"{acknowledged} acknowledged, {unknown} unknown, {stored} in Kafka"
    if not acknowledged <= stored <= acknowledged + unknown:
        raise Broken(seen)
    return f"{how}: {seen}; {ground.check_all_answered(stored)}"


def _read_counts(ground: Ground, sending: Command) -> tuple[int, int]:
    """How many readings the producer reports as acknowledged and unknown, however it ended."""
    with suppress(CommandFailed):
        return int(json.loads(sending.result())["readings"]), 0
    try:
        readings = json.loads(sending.report)["undelivered"][ground.settings.topics.readings]
    except (ValueError, KeyError) as exc:
        message = f"the producer gave no counts: {sending.lines[-1:]}"
        raise Broken(message) from exc
    return readings["acknowledged"], readings["unknown"]
