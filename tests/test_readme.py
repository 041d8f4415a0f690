"""The README's code and commands run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from contract import datasets

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, after: str) -> str:
    """The first fenced block of a language after a heading."""
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found
    return found[1]


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
def test_library_quick_start(spark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, test = datasets.sample("train"), datasets.sample("test")
    names = {
        "X_train": train.images[:600].reshape(600, 784) / 255,
        "y_train": train.labels[:600],
        "X_test": test.images[:200].reshape(200, 784) / 255,
        "y_test": test.labels[:200],
    }
    exec(compile(block("python", "## keras2dml"), "README.md", "exec"), names)
    model = names["sysml_model"]
    assert model.score(names["X_test"], names["y_test"]) > 0.5
    assert len(model.iterations) == 30
    assert len(list((tmp_path / "weights_dir").glob("*_weight.mtx"))) == 4


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.long  # test_tiny has the same pieces in a quarter of the time
def test_the_pieces_alone(java_17, tmp_path):
    environ = {
        **os.environ,
        "DIGITSTREAM_HOME": str(tmp_path),
        "DIGITSTREAM_EPOCHS": "1",
        "COLUMNS": "120",
    }
    lines = [line for line in block("sh", "## The pieces alone").splitlines() if line.strip()]
    assert next(line.split()[1] for line in lines) == "broker"
    try:
        for line in lines:
            done = subprocess.run(
                line, shell=True, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    finally:
        stop = [ROOT / ".venv/bin/digitstream", "broker", "stop"]
        subprocess.run(stop, cwd=ROOT, env=environ, capture_output=True, check=False)
