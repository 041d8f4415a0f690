"""The place for drills: a broker, a registry and a checkpoint of their own."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from contract.choices import Engine
from contract.home.checkpoint import Checkpoint
from contract.kafka.topics import ensure
from contract.model import bundle
from contract.quantities import quantity
from contract.settings.programs import Scoring
from contract.wire.progress import Progress
from digitstream.accounts import topic_reader
from digitstream.accounts.topics import Mark, Reconciliation, reconcile
from digitstream.drills.outcome import Broken
from digitstream.health.query_state import QueryState
from digitstream.installation import adopt, commands_of, embedded_kafka, start_kafka
from digitstream.kafka import server
from digitstream.machine.subcommands import Command, Commands

ENGINE: Engine = "onnx"
PATIENCE = 120.0
_GLANCE_SECONDS = 0.02
_FAST = 5e-4


@dataclass(eq=False)
class Ground:
    """An installation in which things may break; a drill has topics and a checkpoint to itself."""

    settings: Scoring
    commands: Commands
    reader: topic_reader.TopicReader
    minutes: float = 60.0
    """Duration of a lasting drill."""
    announce: Callable[[str], object] = lambda sentence: None
    """Called at the start of each phase with what the drill does in it."""

    @property
    def checkpoint(self) -> Path:
        """The folder of the query's checkpoint."""
        return self.settings.checkpoint

    def send(self, count: int, *options: str, rate: str = "max") -> int:
        """Send readings; returns how many Kafka acknowledged."""
        return int(json.loads(self.start_sending(count, *options, rate=rate).result())["readings"])

    def start_sending(self, count: int, *options: str, rate: str = "max") -> Command:
        """Start to send readings."""
        self.announce(f"sends {quantity(count, 'reading', form=',')}")
        words = ["produce", "--count", str(count), "--rate", rate, "--label-delay", "0", *options]
        return self.commands.start([*words, "--prefix", self.settings.prefix, "--json"])

    def score(self, *options: str, in_a_batch: int = 1_000) -> Command:
        """Start the scorer."""
        self.announce("starts the scorer")
        names = ["--prefix", self.settings.prefix, "--name", self.settings.name]
        size = ["--max-offsets-per-trigger", str(in_a_batch)]
        return self.commands.start(["score", "--engine", ENGINE, *names, *size, *options, "--json"])

    def archive(self, *options: str) -> Command:
        """Start to archive the topics in tables."""
        self.announce("starts the archive")
        return self.commands.start(
            ["archive", "--prefix", self.settings.prefix, *options, "--json"]
        )

    def reconcile(self, *options: str) -> Command:
        """Start to account for the readings."""
        self.announce("accounts for the readings")
        names = ["--prefix", self.settings.prefix, "--name", self.settings.name]
        return self.commands.start(["reconcile", *names, *options, "--json"])

    def kill(self, command: Command) -> None:
        """Kill the driver at once (SIGKILL): its Python, its JVM, its workers."""
        self.announce(f"kills `digitstream {command.name}`")
        family = _family(command)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, 30)
        command.stop()

    def kill_workers(self, command: Command) -> int:
        """Kill the Python workers of a scorer (SIGKILL); returns how many there were."""
        self.announce("kills the scorer's Python workers")
        workers = [member for member in _family(command) if _is_worker(member)]
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        return len(workers)

    def answer_count(self) -> int:
        """The number of scores and dead letters so far, repeated ones included."""
        return Mark.now(self.reader, self.settings.topics).answered

    def progress(self) -> list[Progress]:
        """The scorer's progress, one event per micro-batch."""
        return [
            Progress.of(record.key, record.value, record.headers)
            for records in self.reader.records(self.settings.topics.progress)
            for record in records
        ]

    def done_count(self) -> int:
        """The number of readings that the query has committed."""
        committed = Checkpoint.read(self.checkpoint).committed
        return sum(committed.get(self.settings.topics.readings, {}).values())

    def await_answers(self, count: int, scorer: Command, patience: float = PATIENCE) -> None:
        """Return when there are `count` answers; raises Broken if none comes for a while."""
        self.announce(f"waits for {quantity(count, 'answer', form=',')}")
        _await_count(self.answer_count, count, scorer, "answers", patience)

    def await_done(self, count: int, scorer: Command) -> None:
        """Return when the query has committed `count` readings, however often it answered them."""
        self.announce(f"waits until {quantity(count, 'reading is', 'readings are', ',')} done with")
        _await_count(self.done_count, count, scorer, "readings done with", PATIENCE)

    def await_line(self, command: Command, words: str, often: int = 1) -> None:
        """Return when `often` lines of a command contain `words`; raises Broken after a while."""
        self.announce(f"waits until `digitstream {command.name}` says: {words}")

        def is_said() -> bool:
            command.check()
            return sum(words in line for line in command.lines) >= often

        until(is_said, f"`{words}` from a command")

    def batches(self, kind: str) -> int:
        """The number of the last micro-batch of `offsets` or `commits`, -1 if there is none."""
        return max((int(file.name) for file in (self.checkpoint / kind).glob("[0-9]*")), default=-1)

    def accounts(self) -> Reconciliation:
        """What became of all readings."""
        state = QueryState.of(self.settings)
        topics = self.settings.topics
        readings, replays = (state.committed(topic) for topic in topics.answered)
        return reconcile(self.reader, topics, None, readings, replays, state.ids)

    def check_all_answered(self, sent: int) -> str:
        """Raise Broken unless each of the `sent` readings has its answer; returns the counts."""
        self.announce("accounts for the readings")
        accounts = self.accounts()
        counts = ("produced", "scored", "dead_lettered", "in_flight", "missing", "duplicates")
        total = {count: accounts.total(count) for count in counts}
        seen = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in total.items())
        if total["missing"] or total["in_flight"] or total["produced"] != sent:
            message = f"{sent} readings were sent; {seen}"
            raise Broken(message)
        return seen


def _await_count(
    counted: Callable[[], int], count: int, scorer: Command, what: str, patience: float
) -> None:
    """Return when a count has reached `count`; raises Broken if it does not grow for a while."""
    last, moved = -1, time.monotonic()
    while last < count:
        scorer.check()
        now = counted()
        if now != last:
            last, moved = now, time.monotonic()
        if time.monotonic() - moved > patience:
            message = f"{last} of {count} {what}, then no more for {patience:.0f} s"
            raise Broken(message)
        time.sleep(_GLANCE_SECONDS)


def _family(command: Command) -> list[psutil.Process]:
    """The command's process and all its descendants; none if it has ended."""
    with suppress(psutil.NoSuchProcess):
        driver = psutil.Process(command.pid)
        return [driver, *driver.children(recursive=True)]
    return []


def _is_worker(process: psutil.Process) -> bool:
    """Whether a process is a Python worker that Spark's daemon forked."""
    with suppress(psutil.NoSuchProcess):
        return "pyspark.daemon" in " ".join(process.cmdline()) and not process.children()
    return False


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Return when the condition holds, polling it often; raises Broken after `patience` seconds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            message = f"{what} did not happen within {patience:.0f} s"
            raise Broken(message)
        time.sleep(_FAST)


@contextmanager
def prepare(
    settings: Scoring,
    minutes: float = 60.0,
    announce: Callable[[str], object] = lambda sentence: None,
) -> Iterator[Callable[[str], Ground]]:
    """Start a broker and a registry with the installation's champion; yields a function that makes
    a ground for each drill.

    A lasting drill takes `minutes`. `announce` is called at the start of each phase of a drill.
    Raises NoChampion and BundleError.
    """
    announce("Starting a Kafka and a registry for the drills.")
    champion = bundle.load(settings.registry.resolve().folder)
    with tempfile.TemporaryDirectory(prefix="digitstream-drill-") as name:
        home = Path(name)
        empty = Scoring(home=home, master=settings.master, data=settings.data, engine=ENGINE)
        adopt(empty, champion)
        with (
            embedded_kafka(empty) as shared,
            commands_of(shared) as commands,
            topic_reader.open_reader(shared.kafka) as reader,
        ):

            def ground(drill: str) -> Ground:
                drill_settings = replace(shared, prefix=drill, name=drill)
                ensure(drill_settings.kafka, drill_settings.topics)

                def announce_phase(phase: str) -> None:
                    announce(f"The drill {drill} {phase}.")

                return Ground(drill_settings, commands, reader, minutes, announce_phase)

            yield ground


def kill_broker(ground: Ground) -> None:
    """Kill Kafka (SIGKILL)."""
    ground.announce("kills Kafka")
    broker = server.status(ground.settings.home)
    if broker is not None:
        process = psutil.Process(broker.pid)
        process.kill()
        process.wait()


def restart_broker(ground: Ground) -> None:
    """Start Kafka again, where it was."""
    ground.announce("starts Kafka again")
    start_kafka(ground.settings.home)


def is_root() -> bool:
    """Whether this process runs as root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
