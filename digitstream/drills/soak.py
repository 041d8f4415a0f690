"""The long drill: everything is killed, again and again, at moments that nobody chose."""

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

# What a program says that stops because Kafka went away, at work or while it starts.
_EXPLAINED = rf"{NOTHING_LOST}|Kafka at|No Kafka broker answers"


@drill(
    "soak",
    "For an hour (--minutes) scorer, Python workers, archive and Kafka are killed at random "
    "moments while readings come: none is missing, and in the tables none is answered twice.",
    lasting=True,
)
def _soak(ground: Ground) -> str:
    soak = _Soak(ground)
    sending = ground.sending(round(60 * ground.minutes * RATE), rate=str(RATE))
    victims = (soak.kill_scorer, soak.kill_workers, soak.kill_archive, soak.kill_kafka)
    while not sending.ended:
        soak.keep_up()
        time.sleep(random.uniform(*_BETWEEN_SECONDS))
        soak.keep_up()
        random.choices(victims, weights=(4, 3, 2, 2))[0]()
    sent = int(json.loads(sending.result())["readings"])
    soak.finish()
    killed = ", ".join(f"{name} {count}" for name, count in soak.killed.items())
    seen = f"killed: {killed}; on the topics: {ground.all_answered(sent)}"
    return f"{seen}; in the tables: {_archived(ground, sent)}"


@dataclass(eq=False)
class _Soak:
    """What runs, and how often it was killed."""

    ground: Ground
    running: dict[str, Command] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def keep_up(self) -> None:
        """Start what does not run. Whoever lost Kafka may have stopped, with its sentence."""
        starts: dict[str, Callable[[], Command]] = {
            "scorer": self.ground.score,
            "archive": self.ground.archive,
        }
        for name, start in starts.items():
            command = self.running.get(name)
            if command is not None and not command.ended:
                continue
            if command is not None:
                self._explained(command)
            self.running[name] = start()

    def finish(self) -> None:
        """Let what is left be answered, then archived."""
        for command in self.running.values():
            if command.ended:
                self._explained(command)
            command.stop()
        self.ground.score("--available-now").result()
        self.ground.archive("--available-now").result()

    def kill_scorer(self) -> None:
        """The driver, its JVM and its workers."""
        self._kill("scorer")

    def kill_archive(self) -> None:
        """Whatever writes the tables."""
        self._kill("archive")

    def kill_workers(self) -> None:
        """The scorer's Python workers, if it has some by now."""
        self.killed["worker"] += self.ground.kill_workers(self.running["scorer"])

    def kill_kafka(self) -> None:
        """Kafka, which comes back after a while."""
        kill_broker(self.ground)
        time.sleep(random.uniform(*_AWAY_SECONDS))
        restart_broker(self.ground)
        self.killed["Kafka"] += 1

    def _kill(self, name: str) -> None:
        self.ground.kill(self.running.pop(name))
        self.killed[name] += 1
        time.sleep(random.uniform(*_AWAY_SECONDS))

    def _explained(self, ended: Command) -> None:
        """Raise unless this command may have ended by itself: Kafka was gone, and it said so."""
        try:
            ended.result()
        except CommandFailed as stopped:
            if not self.killed["Kafka"] or not re.search(_EXPLAINED, str(stopped)):
                raise
            self.killed["stopped by itself"] += 1


def _archived(ground: Ground, sent: int) -> str:
    """What the tables hold; raises Broken unless that is each reading with one answer."""
    found = json.loads(ground.reconciled("--from", "tables").result())
    counts = ("produced", "scored", "dead_lettered", "in_flight", "missing", "duplicates")
    seen = ", ".join(f"{count.replace('_', ' ')} {found[count]}" for count in counts)
    if any(found[count] for count in counts[3:]) or found["produced"] != sent:
        message = f"{sent} readings were sent; the tables have {seen}"
        raise Broken(message)
    return seen
