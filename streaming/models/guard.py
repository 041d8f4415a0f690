"""Whether a model that is new does as well as the one before it, on its first readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from contract.quantities import quantity
from streaming.models.answering import agreed_with, asked_of
from streaming.shares import least

ENOUGH = 100
"""Readings from which on a share means something."""

BATCHES = 5
"""Micro-batches from which on a time means something: the first ones of a query are slow."""


@dataclass(frozen=True)
class Bounds:
    """What a new model has to keep to while it is watched."""

    readings: int = 1_000
    """How many of its first readings the model before it scores too, in BATCHES micro-batches at
    least; 0 watches none.
    """
    agreement: float = 0.9
    """Share of them that both must give one class."""
    slowness: float = 3.0
    """How many times as long as the other it may take for the readings of a micro-batch: the
    median of all.
    """


@dataclass(eq=False)
class Watch:
    """What is known of a new model so far.

    `step` is the one in which it scores, `opinion` that of the model before it.
    """

    bounds: Bounds
    step: str
    opinion: str
    asked: float = 0.0
    agreed: float = 0.0
    slowness: list[float] = field(default_factory=list)

    def saw(self, figures: Mapping[str, float]) -> str | None:
        """Add a micro-batch's figures; returns what is wrong with the new model, if anything."""
        asked = figures.get(asked_of(self.opinion), 0)
        if not asked:
            return None
        self.asked += asked
        self.agreed += figures.get(agreed_with(self.opinion), 0)
        self.slowness.append(figures[self.step] / max(figures[self.opinion], 1e-9))
        if self.asked < min(ENOUGH, self.bounds.readings):
            return None
        readings = quantity(round(self.asked), "reading")
        if self.agreed < least(self.bounds.agreement, round(self.asked)):
            return (
                f"gave the class of the one before it to {self.agreed / self.asked:.1%} of "
                f"{readings}, not {self.bounds.agreement:.1%}"
            )
        slowness = median(self.slowness)
        if slowness > self.bounds.slowness and len(self.slowness) >= BATCHES:
            return (
                f"took {slowness:.1f} times as long as the one before it for {readings}, "
                f"not {self.bounds.slowness:.1f} at most"
            )
        return None

    @property
    def over(self) -> bool:
        """Whether it was watched for as long as it should be."""
        return self.asked >= self.bounds.readings and len(self.slowness) >= BATCHES
