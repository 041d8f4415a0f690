"""Shares as counts, without errors from floating-point rounding."""

from __future__ import annotations

import math

# The rounding error of a share with a few digits times a count is smaller than this.
_ROUNDING = 1e-6


def least(share: float, count: int) -> int:
    """The smallest number that is at least this share of a count."""
    return math.ceil(share * count - _ROUNDING)


def most(share: float, count: int) -> int:
    """The largest number that is at most this share of a count."""
    return math.floor(share * count + _ROUNDING)
