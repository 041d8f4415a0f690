"""SystemML's `lr_policy`: how the learning rate falls from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from keras2dml.errors import InvalidData

# Shares of the base rate after e of n epochs. SystemML steps every 100,000 epochs by default, which
# is a rate that stays.
_SHARES: Mapping[str, Callable[[Policy, np.ndarray, int], np.ndarray]] = {
    "fixed": lambda p, e, n: np.ones(len(e)),
    "step": lambda p, e, n: p.gamma ** (e // p.step),
    "exp": lambda p, e, n: p.gamma**e,
    "inv": lambda p, e, n: (1 + p.gamma * e) ** -p.power,
    "poly": lambda p, e, n: (1 - e / n) ** p.power,
    "sigmoid": lambda p, e, n: 1 / (1 + np.exp(-p.gamma * (e - p.step))),
}


@dataclass(frozen=True)
class Policy:
    """A policy by SystemML's name, with its constants."""

    name: str = "step"
    gamma: float = 0.95
    step: float = 100_000
    power: float = 0.75

    @classmethod
    def of(cls, name: str, constants: Mapping[str, float] | None = None) -> Self:
        """InvalidData for another name, or a constant that no policy has."""
        if name not in _SHARES:
            message = f"lr_policy is {name!r}: give one of {', '.join(_SHARES)}."
            raise InvalidData(message)
        unknown = sorted({*(constants or {})} - {"gamma", "step", "power"})
        if unknown:
            message = f"lr_policy_parameters has {', '.join(unknown)}: give gamma, step and power."
            raise InvalidData(message)
        return cls(name, **(constants or {}))

    def shares(self, epochs: np.ndarray, of: int) -> np.ndarray:
        """What is left of the rate after so many finished `epochs` (E,), `of` all."""
        return _SHARES[self.name](self, epochs.astype(np.float64), of)
