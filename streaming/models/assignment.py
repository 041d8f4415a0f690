"""The parts of a micro-batch's models: who answers which readings, and who is heard besides."""

from __future__ import annotations

from collections.abc import Callable

from contract.wire.topics import Topics
from streaming.models.answering import (
    CANARY,
    CANARY_GUARD,
    GUARD,
    SCORE,
    SHADOW,
    Judge,
    Opinion,
    Part,
    Rows,
    but,
    everything,
    of_devices,
    sampled,
)
from streaming.models.champion import LineUp, Roles
from streaming.models.loaded import Loaded

Judging = Callable[[Loaded, Rows, Topics], Judge]
"""Puts a model to work on these rows of a micro-batch; its scores go to the topics' `scores`."""


def cast(line_up: LineUp, roles: Roles, topics: Topics, judging: Judging) -> list[Part]:
    """The champion's part, and the challenger's if there is one.

    A share of the devices gets its answers from the challenger (the canary); of the readings of all
    others the challenger scores a share for itself (the shadow).
    """
    champion, before, challenger = line_up.champion, line_up.before, line_up.challenger
    canary = of_devices(roles.canary) if challenger and roles.canary else None
    rest = but(canary) if canary else everything
    heard = []
    if before is not None:
        heard.append(Opinion(GUARD, judging(before, rest, topics), everything, told=False))
    if challenger is not None and roles.shadow:
        shadow, elsewhere = sampled(roles.shadow), topics.scored_to(topics.shadow_scores)
        heard.append(Opinion(SHADOW, judging(challenger, shadow, elsewhere), shadow, told=True))
    parts = [Part(SCORE, judging(champion, rest, topics), rest, tuple(heard))]
    if challenger is not None and canary is not None:
        watching = []
        if line_up.watched:
            judge = judging(champion, canary, topics)
            watching.append(Opinion(CANARY_GUARD, judge, everything, told=False))
        parts.append(Part(CANARY, judging(challenger, canary, topics), canary, tuple(watching)))
    return parts
