"""Whatever is done to an installation, in whatever order: in the end each reading is answered."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from kafka import KafkaAdminClient

from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.model import bundle
from contract.settings.programs import Scoring
from digitstream.drills.checkpoint import recreate
from digitstream.drills.ground import ground
from digitstream.drills.ground.ground import Ground, until
from digitstream.machine.subcommands import Command, CommandFailed

MOST_PARTITIONS = 7

Make = Callable[[str], Ground]


class History(RuleBasedStateMachine):
    """One installation, whose scorer runs or does not. `make` gives a ground for each history."""

    make: Make

    scorer: Command | None = None
    is_recreated = False
    """Whether the topic of readings was recreated since a scorer was told that this may be."""

    @initialize()
    def installed(self) -> None:
        self.ground = self.make(f"history-{uuid.uuid4().hex[:8]}")
        self.sent = 0

    @property
    def is_running(self) -> bool:
        return self.scorer is not None

    @rule(count=st.integers(1, 1_500))
    def produce(self, count: int) -> None:
        self.sent += self.ground.send(count)

    @precondition(lambda self: not self.is_running)
    @rule()
    def start(self) -> None:
        self.scorer = self.ground.score(*self.skipping(), in_a_batch=500)
        self.is_recreated, self.begun = False, self.ground.batches("commits")

    @precondition(lambda self: self.is_running)
    @rule(share=st.floats(0, 1))
    def await_some(self, share: float) -> None:
        def are_answered() -> bool:
            assert self.scorer is not None
            self.scorer.check()
            return self.ground.accounts().total("in_flight") <= (1 - share) * self.sent

        until(are_answered, "some are answered")

    @precondition(lambda self: self.is_running)
    @rule()
    def stop(self) -> None:
        assert self.scorer is not None
        self.scorer.stop()
        self.scorer = None

    @precondition(lambda self: self.is_running)
    @rule()
    def kill(self) -> None:
        assert self.scorer is not None
        self.ground.kill(self.scorer)
        self.scorer = None

    @rule()
    def promote(self) -> None:
        registry = self.ground.settings.registry
        champion = bundle.load(registry.resolve().folder)
        registry.promote(registry.register(champion, parameters={}))

    @rule()
    def add_a_partition(self) -> None:
        topic, kafka = self.ground.settings.topics.readings, self.ground.settings.kafka
        with open_log(kafka) as log:
            count = len(log.end([topic])[topic])
        if count < MOST_PARTITIONS:
            with KafkaAdminClient(**arguments(kafka)) as admin:
                admin.create_partitions({topic: count + 1})

    @rule()
    def recreate_the_topic(self) -> None:
        """Its readings are gone, answered or not; a scorer that read them must not go on."""
        if self.scorer is not None and self.ground.batches("commits") == self.begun:
            self.stop()  # it may not have looked at the topic yet
        recreate(self.ground)
        self.sent, self.is_recreated = 0, self.ground.batches("offsets") >= 0
        if self.scorer is not None:
            with pytest.raises(CommandFailed, match="recreated"):
                self.scorer.result()
            self.scorer = None

    def teardown(self) -> None:
        if not hasattr(self, "ground"):
            return
        if self.scorer is not None:
            self.scorer.stop()
        if self.is_recreated and self.sent:
            with pytest.raises(CommandFailed, match="recreated"):
                self.ground.score("--available-now").result()
        self.ground.score("--available-now", *self.skipping()).result()
        self.ground.check_all_answered(self.sent)

    def skipping(self) -> list[str]:
        """What the scorer is told if the topic was recreated."""
        return ["--skip-lost"] if self.is_recreated else []


@pytest.fixture(scope="module")
def make(registered: Path) -> Iterator[Make]:
    with ground.prepare(Scoring(home=registered.parent, master="local[2,4]")) as made:
        yield made


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_each_history_ends_with_a_closed_ledger(make: Make) -> None:
    class Here(History):
        pass

    Here.make = staticmethod(make)
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=6,
            stateful_step_count=12,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a step takes seconds
            suppress_health_check=list(HealthCheck),
        ),
    )
