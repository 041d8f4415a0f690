"""Whether a new model does as well as the previous one, on its first readings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from contract.quantities import quantity
from streaming.shares import least
from streaming.steps.metrics import BatchMetrics

ENOUGH = 100
"""Readings before a share is meaningful."""

BATCHES = 5
"""Micro-batches before a duration is meaningful: the first ones of a query are slow."""


@dataclass(frozen=True)
class Bounds:
    """The limits for a new model while it is watched."""

    readings: int
    """How many of its first readings the previous model also scores, in at least BATCHES
    micro-batches; 0 turns the watch off.
    """
    agreement: float
    """Minimum share of these readings that get the same class from both models."""
    slowness: float
    """Maximum ratio of its time to the previous model's: the median over micro-batches."""


@dataclass(frozen=True)
class Watch:
    """The record of a new model so far: it scores in `step`, the previous model in `guard`."""

    bounds: Bounds
    step: str
    guard: str
    readings: int = 0
    same: int = 0
    slowness: tuple[float, ...] = ()

    def after(self, metrics: BatchMetrics) -> Watch:
        """The watch after another micro-batch."""
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
                f"gave the class of the previous version to {self.same / self.readings:.1%} of "
                f"{readings}, not to {self.bounds.agreement:.1%}"
            )
        slowness = median(self.slowness)
        if slowness > self.bounds.slowness and len(self.slowness) >= BATCHES:
            return (
                f"took {slowness:.1f} times as long as the previous version for {readings}, "
                f"not {self.bounds.slowness:.1f} at most"
            )
        return None

    @property
    def is_over(self) -> bool:
        """Whether the model has been watched for long enough."""
        return self.readings >= self.bounds.readings and len(self.slowness) >= BATCHES
