"""Scoring starts without what only training needs."""

from __future__ import annotations

import subprocess
import sys


def test_scoring_starts_without_tensorflow() -> None:
    code = "import sys, streaming.query.program; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    modules = set(loaded.stdout.split())
    assert {"pyspark", "streaming.engines.systemds"} <= modules
    assert not {"tensorflow", "keras", "mlflow", "sklearn", "onnxruntime"} & modules
