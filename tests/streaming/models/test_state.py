"""Which models score next, in every order of what people, models and the registry do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.model.registry import CHALLENGER, CHAMPION
from contract.wire.events import Model
from streaming.models.guard import BATCHES, ENOUGH, Bounds
from streaming.models.loaded import Loaded
from streaming.models.roles import CANARY, CANARY_GUARD, GUARD, SCORE, Roles
from streaming.models.state import (
    Assigned,
    Confirm,
    Ended,
    Event,
    Failed,
    Notify,
    Release,
    Remove,
    Scored,
    State,
    after,
)
from streaming.steps.metrics import Agreement, BatchMetrics

ROLES = Roles(Bounds(readings=BATCHES * ENOUGH, agreement=0.9, slowness=3.0), canary=0.1)
STEPS = {CHAMPION: (SCORE, GUARD), CHALLENGER: (CANARY, CANARY_GUARD)}


@dataclass
class Registry:
    """Who has which alias, as the stream is told; a version that is loaded is not loaded again."""

    aliases: dict[str, Loaded | None] = field(default_factory=dict)
    versions: int = 0

    def load(self) -> Loaded:
        self.versions += 1
        nothing: Any = None
        return Loaded(Model("digits", str(self.versions), "onnx"), nothing, nothing, nothing)


class Service(RuleBasedStateMachine):
    """The state with all that it does, and who scored before."""

    def __init__(self) -> None:
        super().__init__()
        self.registry, self.state = Registry(), State(ROLES)
        self.loaded: list[Loaded] = []
        self.released: list[Loaded] = []
        self.confirmed: list[Loaded] = []
        self.removed: list[Remove] = []
        self.sentences: list[str] = []

    def handle(self, event: Event) -> None:
        self.state, actions = after(event, self.state)
        for action in actions:
            match action:
                case Release(loaded):
                    self.released.append(loaded)
                case Confirm(champion):
                    self.confirmed.append(champion)
                case Notify(sentence):
                    self.sentences.append(sentence)
                case Remove(alias, _, _, successor):
                    self.removed.append(action)
                    self.registry.aliases[alias] = successor

    def assign(self) -> None:
        champion = self.registry.aliases[CHAMPION]
        assert champion is not None
        self.handle(Assigned(champion, self.registry.aliases.get(CHALLENGER)))

    def new(self) -> Loaded:
        self.loaded.append(self.registry.load())
        return self.loaded[-1]

    @initialize(has_previous=st.booleans())
    def start(self, has_previous: bool) -> None:
        if has_previous:
            self.handle(Assigned(self.new()))
        self.registry.aliases[CHAMPION] = self.new()
        self.assign()
        assert (self.state.previous is not None) == has_previous

    @rule()
    def promote(self) -> None:
        self.registry.aliases[CHAMPION] = self.new()
        self.assign()

    @precondition(lambda self: self.state.previous is not None)
    @rule()
    def roll_back_by_hand(self) -> None:
        previous = self.state.previous
        self.registry.aliases[CHAMPION] = previous
        self.assign()
        assert self.state.champion is previous and self.state.previous is None

    @rule()
    def challenge(self) -> None:
        self.registry.aliases[CHALLENGER] = self.new()
        self.assign()

    @rule()
    def dismiss(self) -> None:
        self.registry.aliases[CHALLENGER] = None
        self.assign()
        assert self.state.challenger is None

    @rule()
    def hear_the_same_again(self) -> None:
        before = self.state
        self.assign()
        assert self.state == before

    @rule(
        same=st.sampled_from([ENOUGH, ENOUGH - 20]),
        factor=st.sampled_from([1.0, 9.0]),
        batches=st.integers(1, BATCHES),
    )
    def score(self, same: int, factor: float, batches: int) -> None:
        for _ in range(batches):
            watched = {alias: STEPS[alias] for alias in self.state.watches}
            champion, previous = self.state.champion, self.state.previous
            metrics = BatchMetrics(
                seconds={
                    step: seconds
                    for first, second in watched.values()
                    for step, seconds in ((first, factor), (second, 1.0))
                },
                agreements={second: Agreement(ENOUGH, same) for _, second in watched.values()},
            )
            watch = self.state.watches.get(CHAMPION)
            is_worse = watch is not None and watch.after(metrics).fault is not None
            self.handle(Scored(metrics))
            assert self.state.champion is (previous if is_worse else champion)
            assert is_worse == (champion in {gone.loaded for gone in self.removed})
            self.assign()

    @rule(who=st.sampled_from(["champion", "previous", "challenger", "nobody"]))
    def fail(self, who: str) -> None:
        culprit = getattr(self.state, who, None)
        before, count = self.state, len(self.sentences)
        title = "digits 0" if culprit is None else culprit.title
        self.handle(Failed(title, "raised MemoryError"))
        others = before.previous if who == "champion" else before.champion
        if culprit is None or (who == "champion" and others is None):
            assert self.state is before  # nobody can answer instead: the query stops
        else:
            assert culprit not in self.serving()
            assert f"(Model {title} raised MemoryError)" in self.sentences[count]
            assert self.state.champion is others
        self.assign()

    @rule()
    def restart(self) -> None:
        """Another process loads the champion, and who watches it where it is not done with that."""
        watched = self.state.previous is not None
        self.handle(Ended())
        assert not self.serving()
        self.registry.aliases[CHALLENGER] = None
        self.start(watched)

    def serving(self) -> list[Loaded]:
        models = (self.state.champion, self.state.previous, self.state.challenger)
        return [loaded for loaded in models if loaded is not None]

    @invariant()
    def each_model_serves_or_was_released_once(self) -> None:
        known = [*self.serving(), *self.released]
        assert sorted(map(id, known)) == sorted(map(id, self.loaded))

    @invariant()
    def whoever_is_watched_is_there_with_the_one_who_watches(self) -> None:
        assert (CHAMPION in self.state.watches) == (self.state.previous is not None)
        assert (CHALLENGER in self.state.watches) <= (self.state.challenger is not None)

    @invariant()
    def nobody_is_confirmed_that_was_removed_for_its_fault(self) -> None:
        assert not {*self.confirmed} & {gone.loaded for gone in self.removed if gone.successor}

    @invariant()
    def each_removal_is_told(self) -> None:
        assert len(self.sentences) >= len(self.removed)


TestService = Service.TestCase
TestService.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
