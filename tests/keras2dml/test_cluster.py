"""On a cluster, more rows than the driver could hold are trained on where they are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cluster
import numpy as np
import pytest
from oracle import WEIGHTS, near

pytestmark = [pytest.mark.spark, pytest.mark.systemds, pytest.mark.slow]


@pytest.mark.long
def test_rows_beyond_the_drivers_memory_stay_on_the_cluster(tmp_path):
    program = Path(cluster.__file__)
    done = subprocess.run(
        [sys.executable, program, tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    plan = (tmp_path / "plan.txt").read_text(encoding="utf-8")
    assert re.search(r"SPARK \w*mapmm", plan), "products with all rows are planned on Spark"
    assert re.search(r"CP \w+", plan), "and what is small on the driver"
    executed = [int(count) for count in re.findall(r"executed Spark inst:\s*(\d+)", done.stdout)]
    assert max(executed) > 0
    assert "sp_mapmm" in done.stdout
    numbers = np.arange(cluster.ROWS)
    cells = (numbers[:, None] * 7 + np.arange(cluster.FEATURES) * 13) % 11 / 11.0
    built = cluster.model()
    for _ in range(2):
        built.train_on_batch(cells, numbers % 3)
    with np.load(tmp_path / "weights.npz") as stored:
        for name, wanted in zip(stored.files, built.get_weights(), strict=True):
            near(stored[name], wanted, WEIGHTS["float64"])
    with np.load(tmp_path / "scores.npz") as stored:
        scores, count = (stored[name] for name in stored.files)
    assert count == cluster.ROWS
    near(scores, built.predict(cells[: cluster.SCORED], verbose=0), 1e-8)
