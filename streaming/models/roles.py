"""What models do in a query: the steps in which they score, and what a challenger is given."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.models.guard import Bounds

SCORE, CANARY, SHADOW, GUARD, CANARY_GUARD = "score", "canary", "shadow", "guard", "canary guard"
"""The steps in which a model scores: the champion's answers, and the challenger's; the challenger
beside the champion; the champion before this one beside it while it is new, and the champion beside
the challenger."""


@dataclass(frozen=True)
class Roles:
    """Shares of all devices (canary) and of all readings (shadow) that a challenger scores, and the
    bounds that a new model keeps to.
    """

    guard: Bounds
    canary: float = 0.0
    shadow: float = 0.0
