"""No kernel is slow by a mistake of Java's compiler, which costs a factor of 60 in silence."""

from __future__ import annotations

import pytest

FLOOR = 0.05
"""The least share of what one thread reaches in registers; kernels have a third to all of it."""


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
def test_kernels_reach_their_share_of_what_this_machine_can(spark):
    figures = dict(spark._jvm.keras2dml.kernels.float32.Speed.measure())
    peak = figures.pop("peak")
    assert len(figures) > 20
    assert {name: rate / peak for name, rate in figures.items() if rate < FLOOR * peak} == {}
