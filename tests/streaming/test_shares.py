"""Shares as counts."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contract.model.bundle import Golden
from streaming.engines import Trial
from streaming.engines.trials import ROUNDED, fault
from streaming.shares import least, most


@given(st.integers(0, 10_000), st.integers(0, 100_000))
def test_a_share_of_a_count_is_what_exact_arithmetic_makes_of_it(per: int, count: int) -> None:
    exact = Fraction(per, 10_000) * count
    assert (least(per / 10_000, count), most(per / 10_000, count)) == (ceil(exact), floor(exact))


def test_an_engine_that_loses_one_image_of_a_thousand_keeps_to_a_bound_of_a_thousandth() -> None:
    right = np.arange(1000) % 10
    probabilities = np.eye(10, dtype=np.float32)[right]
    golden = Golden(np.zeros((1000, 1, 1, 1), np.uint8), probabilities, right)
    for wrong, expected in ((1, None), (2, "gave another class for 2 of 1000 images")):
        classes = np.where(np.arange(1000) < wrong, (right + 1) % 10, right)
        tried = Trial(np.eye(10, dtype=np.float32)[classes], 1.0)
        assert fault(tried, golden, ROUNDED) == expected
