"""The long drill: everything is killed, again and again, at random moments."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground, kill_broker, restart_broker
from digitstream.drills.outcome import NOTHING_LOST, Broken
from digitstream.machine.subcommands import Command, CommandFailed

RATE = 200
_BETWEEN_SECONDS = (5.0, 40.0)
_AWAY_SECONDS = (0.0, 10.0)

# Parts of the messages of a program that stops because Kafka is gone, at work or while it starts.
_EXPLAINED = rf"{NOTHING_LOST}|Kafka at|No Kafka broker answers"


@drill(
    "soak",
    "For an hour (--minutes) scorer, Python workers, archive and Kafka are killed at random "
    "moments while readings arrive: none is missing, and in the tables none is answered twice.",
    lasting=True,
)
def _soak(ground: Ground) -> str:
    soak = _Soak(ground)
    sending = ground.start_sending(round(60 * ground.minutes * RATE), rate=str(RATE))
    victims = (soak.kill_scorer, soak.kill_workers, soak.kill_archive, soak.kill_kafka)
    while not sending.has_ended:
        soak.keep_up()
        time.sleep(random.uniform(*_BETWEEN_SECONDS))
        soak.keep_up()
        random.choices(victims, weights=(4, 3, 2, 2))[0]()
    sent = int(json.loads(sending.result())["readings"])
    soak.finish()
    killed = ", ".join(f"{name} {count}" for name, count in soak.killed.items())
    seen = f"killed: {killed}; on the topics: {ground.check_all_answered(sent)}"
    return f"{seen}; in the tables: {_check_tables(ground, sent)}"


@dataclass(eq=False)
class _Soak:
    """The running commands, and how often each was killed."""

    ground: Ground
    running: dict[str, Command] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def keep_up(self) -> None:
        """Start what is not running. A program that lost Kafka may have stopped and said so."""
        starts: dict[str, Callable[[], Command]] = {
            "scorer": self.ground.score,
            "archive": self.ground.archive,
        }
        for name, start in starts.items():
            command = self.running.get(name)
            if command is not None and not command.has_ended:
                continue
            if command is not None:
                self._check_explained(command)
            self.running[name] = start()

    def finish(self) -> None:
        """Answer what is left, then archive it."""
        for command in self.running.values():
            if command.has_ended:
                self._check_explained(command)
            command.stop()
        self.ground.score("--available-now").result()
        self.ground.archive("--available-now").result()

    def kill_scorer(self) -> None:
        """Kill the driver, its JVM and its workers."""
        self._kill("scorer")

    def kill_archive(self) -> None:
        """Kill the archive."""
        self._kill("archive")

    def kill_workers(self) -> None:
        """Kill the scorer's Python workers, if it has any by now."""
        self.killed["worker"] += self.ground.kill_workers(self.running["scorer"])

    def kill_kafka(self) -> None:
        """Kill Kafka, and start it again after a while."""
        kill_broker(self.ground)
        time.sleep(random.uniform(*_AWAY_SECONDS))
        restart_broker(self.ground)
        self.killed["Kafka"] += 1

    def _kill(self, name: str) -> None:
        self.ground.kill(self.running.pop(name))
        self.killed[name] += 1
        time.sleep(random.uniform(*_AWAY_SECONDS))

    def _check_explained(self, ended: Command) -> None:
        """Raise CommandFailed unless the command ended because Kafka was gone, and said so."""
        try:
            ended.result()
        except CommandFailed as stopped:
            if not self.killed["Kafka"] or not re.search(_EXPLAINED, str(stopped)):
                raise
            self.killed["stopped by itself"] += 1


def _check_tables(ground: Ground, sent: int) -> str:
    """Raise Broken unless the tables hold each reading with one answer; returns the counts."""
    accounts = json.loads(ground.reconcile("--from", "tables").result())
    counts = ("produced", "scored", "dead_lettered", "in_flight", "missing", "duplicates")
    seen = ", ".join(f"{count.replace('_', ' ')} {accounts[count]}" for count in counts)
    if any(accounts[count] for count in counts[3:]) or accounts["produced"] != sent:
        message = f"{sent} readings were sent; the tables have {seen}"
        raise Broken(message)
    return seen
