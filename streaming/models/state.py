"""Which models score next: a pure function of the state and an event.

`after(event, state)` returns the next state and the actions to take. It has no effects itself;
`streaming.models.service` takes the actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch

from contract.model.registry import CHALLENGER, CHAMPION
from streaming.models.guard import Watch
from streaming.models.loaded import Loaded
from streaming.models.roles import CANARY, CANARY_GUARD, GUARD, SCORE, Roles
from streaming.steps.metrics import BatchMetrics


@dataclass(frozen=True)
class State:
    """The loaded models, and the watches of the new ones, by alias.

    `previous` is the previous champion, while the current one is watched.
    """

    roles: Roles
    champion: Loaded | None = None
    previous: Loaded | None = None
    challenger: Loaded | None = None
    watches: Mapping[str, Watch] = field(default_factory=dict)


@dataclass(frozen=True)
class Assigned:
    """The registry's aliases name these versions, which are loaded."""

    champion: Loaded
    challenger: Loaded | None = None


@dataclass(frozen=True)
class Scored:
    """A micro-batch was answered."""

    metrics: BatchMetrics


@dataclass(frozen=True)
class Failed:
    """A model, by its title, failed a micro-batch; `fact` says what it did."""

    model: str
    fact: str


@dataclass(frozen=True)
class Ended:
    """The query ends."""


Event = Assigned | Scored | Failed | Ended


@dataclass(frozen=True)
class Release:
    """Release whatever a model holds."""

    loaded: Loaded


@dataclass(frozen=True)
class Notify:
    """Notify whoever runs the query."""

    sentence: str


@dataclass(frozen=True)
class Confirm:
    """Record in the registry that the champion no longer needs to be watched."""

    champion: Loaded


@dataclass(frozen=True)
class Remove:
    """Remove an alias from a version in the registry; `successor` gets it."""

    alias: str
    loaded: Loaded
    reason: str
    successor: Loaded | None


Action = Release | Notify | Confirm | Remove
Step = tuple[State, tuple[Action, ...]]


@singledispatch
def after(event: Event, state: State) -> Step:
    """The state after an event, and the actions to take."""
    raise TypeError(event)


@after.register
def _(event: Assigned, state: State) -> Step:
    state, actions = _with_champion(state, event.champion)
    if event.challenger is state.challenger:
        return state, actions
    state, released = _without_challenger(state)
    state = replace(state, challenger=event.challenger)
    if event.challenger is not None and state.roles.canary and state.roles.guard.readings:
        state = _watching(state, CHALLENGER, Watch(state.roles.guard, CANARY, CANARY_GUARD))
    return state, (*actions, *released)


@after.register
def _(event: Scored, state: State) -> Step:
    actions: list[Action] = []
    for alias, watch in state.watches.items():
        seen = watch.after(event.metrics)
        state = _watching(state, alias, seen)
        if seen.fault is not None:
            state, more = _removed(state, alias, seen.fault)
        elif seen.is_over:
            state, more = _confirmed(state, alias)
        else:
            more = ()
        actions += more
    return state, tuple(actions)


@after.register
def _(event: Failed, state: State) -> Step:
    """Nothing changes if no other model can answer instead."""
    fault = f"failed a micro-batch (Model {event.model} {event.fact})"
    if _is(state.challenger, event.model):
        return _removed(state, CHALLENGER, fault)
    if state.champion is None or state.previous is None:
        return state, ()
    if _is(state.champion, event.model):
        return _removed(state, CHAMPION, fault)
    if _is(state.previous, event.model):
        sentence = (
            f"Version {state.previous.model.version} {fault}: version "
            f"{state.champion.model.version} is no longer compared with it."
        )
        state, released = _unwatched(state)
        return state, (*released, Notify(sentence))
    return state, ()


@after.register
def _(event: Ended, state: State) -> Step:
    return State(state.roles), _released(state.champion, state.previous, state.challenger)


def _with_champion(state: State, champion: Loaded) -> Step:
    """The state with this champion, watched by the last champion that is known to be good."""
    current = state.champion
    if champion is current:
        return state, ()
    if champion is state.previous:
        return _rolled_back(state)
    if current is None:
        return replace(state, champion=champion), ()
    if state.previous is not None or not state.roles.guard.readings:
        state, actions = replace(state, champion=champion), _released(current)
    else:
        state, actions = replace(state, champion=champion, previous=current), ()
    if state.previous is not None:
        state = _watching(state, CHAMPION, Watch(state.roles.guard, SCORE, GUARD))
    return state, actions


def _confirmed(state: State, alias: str) -> Step:
    """The state in which the version with this alias is no longer watched."""
    if alias != CHAMPION or state.champion is None:
        return _unwatching(state, alias), ()
    champion = state.champion
    state, released = _unwatched(state)
    return state, (*released, Confirm(champion))


def _removed(state: State, alias: str, fault: str) -> Step:
    """The state in which the version with this alias no longer scores, because of a fault."""
    if alias == CHAMPION:
        loaded, successor = state.champion, state.previous
        state, released = _rolled_back(state)
    else:
        loaded, successor = state.challenger, None
        state, released = _without_challenger(state)
    if loaded is None or state.champion is None:
        return state, released
    sentence = (
        f"Version {loaded.model.version} {fault}: it is no longer {alias}. Version "
        f"{state.champion.model.version} continues as champion."
    )
    return state, (*released, Notify(sentence), Remove(alias, loaded, fault, successor))


def _rolled_back(state: State) -> Step:
    """The state in which the previous champion is champion again."""
    released = _released(state.champion)
    state = replace(state, champion=state.previous, previous=None)
    return _unwatching(state, CHAMPION), released


def _unwatched(state: State) -> Step:
    """The state without the previous champion."""
    released = _released(state.previous)
    return _unwatching(replace(state, previous=None), CHAMPION), released


def _without_challenger(state: State) -> Step:
    released = _released(state.challenger)
    return _unwatching(replace(state, challenger=None), CHALLENGER), released


def _watching(state: State, alias: str, watch: Watch) -> State:
    return replace(state, watches={**state.watches, alias: watch})


def _unwatching(state: State, alias: str) -> State:
    watches = {name: watch for name, watch in state.watches.items() if name != alias}
    return replace(state, watches=watches)


def _released(*models: Loaded | None) -> tuple[Release, ...]:
    return tuple(Release(loaded) for loaded in models if loaded is not None)


def _is(loaded: Loaded | None, title: str) -> bool:
    return loaded is not None and loaded.title == title
