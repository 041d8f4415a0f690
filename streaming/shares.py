"""Shares as counts: a share of a thousand is so many, whatever floating point makes of it."""

from __future__ import annotations

import math

# A product of a share of a few digits and a count is off by less.
_ROUNDING = 1e-6


def least(share: float, count: int) -> int:
    """The smallest number that is at least this share of a count."""
    return math.ceil(share * count - _ROUNDING)


def most(share: float, count: int) -> int:
    """The largest number that is at most this share of a count."""
    return math.floor(share * count + _ROUNDING)
