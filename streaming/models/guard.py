"""Whether a model that is new does as well as the one before it, on its first readings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from contract.quantities import quantity
from streaming.shares import least
from streaming.steps.metrics import BatchMetrics

ENOUGH = 100
"""Readings from which on a share means something."""

BATCHES = 5
"""Micro-batches from which on a time means something: the first ones of a query are slow."""


@dataclass(frozen=True)
class Bounds:
    """What a new model has to keep to while it is watched."""

    readings: int
    """How many of its first readings the model before it scores too, in BATCHES micro-batches at
    least; 0 watches none.
    """
    agreement: float
    """Share of them that both must give one class."""
    slowness: float
    """How many times as long as the other it may take for the readings of a micro-batch: the
    median of all.
    """


@dataclass(frozen=True)
class Watch:
    """What is known of a new model so far: it scores in `step`, the model before it in `guard`."""

    bounds: Bounds
    step: str
    guard: str
    readings: int = 0
    same: int = 0
    slowness: tuple[float, ...] = ()

    def after(self, metrics: BatchMetrics) -> Watch:
        """The watch after one more micro-batch."""
        agreement = metrics.agreements.get(self.guard)
        if agreement is None or not agreement.readings:
            return self
        slowness = metrics.seconds[self.step] / max(metrics.seconds[self.guard], 1e-9)
        return replace(
            self,
            readings=self.readings + agreement.readings,
            same=self.same + agreement.same,
            slowness=(*self.slowness, slowness),
        )

    @property
    def fault(self) -> str | None:
        """What is wrong with the new model, if anything."""
        if self.readings < min(ENOUGH, self.bounds.readings) or not self.readings:
            return None
        readings = quantity(self.readings, "reading")
        if self.same < least(self.bounds.agreement, self.readings):
            return (
                f"gave the class of the one before it to {self.same / self.readings:.1%} of "
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
    def is_over(self) -> bool:
        """Whether the model was watched for as long as it should be."""
        return self.readings >= self.bounds.readings and len(self.slowness) >= BATCHES
