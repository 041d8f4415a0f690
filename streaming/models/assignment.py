"""Which model answers which readings of a micro-batch, and which models also score them."""

from __future__ import annotations

from collections.abc import Callable

from contract.wire.topics import Topics
from streaming.models.loaded import Loaded
from streaming.models.roles import CANARY, CANARY_GUARD, GUARD, SCORE, SHADOW, Roles
from streaming.models.routes import BatchScorer, Route, SecondScorer
from streaming.models.selections import Except, OfDevices, Sample, Selection, everything
from streaming.models.service import Models

Prepare = Callable[[Loaded, Selection, Topics], BatchScorer]
"""Prepares a model for the selected readings of a micro-batch; scores go to the topics' `scores`.
"""


def routes(models: Models, roles: Roles, topics: Topics, prepare: Prepare) -> tuple[Route, ...]:
    """The champion's route, and the challenger's if there is one.

    The challenger answers the readings of a share of the devices (the canary); of all other
    readings it also scores a share (the shadow).
    """
    champion, challenger = models.champion, models.challenger
    canary = OfDevices(roles.canary) if challenger and roles.canary else None
    rest: Selection = Except(canary) if canary else everything
    seconds = []
    if models.previous is not None:
        guard = prepare(models.previous, rest, topics)
        seconds.append(SecondScorer(GUARD, guard, everything, is_published=False))
    if challenger is not None and roles.shadow:
        sample = Sample(roles.shadow)
        shadow = prepare(challenger, sample, topics.scored_to(topics.shadow_scores))
        seconds.append(SecondScorer(SHADOW, shadow, sample, is_published=True))
    champions = Route(SCORE, prepare(champion, rest, topics), rest, tuple(seconds))
    if challenger is None or canary is None:
        return (champions,)
    guards: tuple[SecondScorer, ...] = ()
    if models.is_challenger_watched:
        guard = prepare(champion, canary, topics)
        guards = (SecondScorer(CANARY_GUARD, guard, everything, is_published=False),)
    return champions, Route(CANARY, prepare(challenger, canary, topics), canary, guards)
