"""The roles of models in a query: the steps in which they score, and the challenger's shares."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.models.guard import Bounds

SCORE, CANARY, SHADOW, GUARD, CANARY_GUARD = "score", "canary", "shadow", "guard", "canary guard"
"""The steps in which a model scores. SCORE: the champion answers. CANARY: the challenger answers.
SHADOW: the challenger also scores what the champion answers. GUARD: while the champion is new, the
previous one also scores. CANARY_GUARD: the champion also scores what the challenger answers."""


@dataclass(frozen=True)
class Roles:
    """The shares of all devices (canary) and of all readings (shadow) that a challenger scores, and
    the limits for a new model.
    """

    guard: Bounds
    canary: float = 0.0
    shadow: float = 0.0
