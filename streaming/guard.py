"""Whether a model that is new does as well as the one before it, on its first readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streaming.parts import agreed_with, asked_of

ENOUGH = 100
"""Readings from which on a share or a time means something."""


@dataclass(frozen=True)
class Bounds:
    """What a new model has to keep to while it is watched."""

    readings: int = 1_000
    """How many of its first readings the model before it scores too; 0 watches none."""
    agreement: float = 0.9
    """Share of them that both must give one class."""
    slowness: float = 3.0
    """How many times as long as the other it may take for them."""


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
    seconds: dict[str, float] = field(default_factory=dict)

    def saw(self, figures: Mapping[str, float]) -> str | None:
        """Add a micro-batch's figures; returns what is wrong with the new model, if anything."""
        self.asked += figures.get(asked_of(self.opinion), 0)
        self.agreed += figures.get(agreed_with(self.opinion), 0)
        for step in (self.step, self.opinion):
            self.seconds[step] = self.seconds.get(step, 0.0) + figures.get(step, 0.0)
        if self.asked < min(ENOUGH, self.bounds.readings):
            return None
        if self.agreed < self.bounds.agreement * self.asked:
            return (
                f"gave the class of the one before it to {self.agreed / self.asked:.1%} of "
                f"{self.asked:.0f} readings, not {self.bounds.agreement:.1%}"
            )
        slowness = self.seconds[self.step] / max(self.seconds[self.opinion], 1e-9)
        if slowness > self.bounds.slowness:
            return (
                f"took {slowness:.1f} times as long as the one before it for {self.asked:.0f} "
                f"readings, not {self.bounds.slowness:.1f} at most"
            )
        return None

    @property
    def over(self) -> bool:
        """Whether it was watched for as long as it should be."""
        return self.asked >= self.bounds.readings
