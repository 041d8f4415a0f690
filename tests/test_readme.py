"""The code and commands of the READMEs run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIBRARY = ROOT / "keras2dml" / "README.md"


def block(language: str, after: str) -> str:
    """The first fenced block of a language after a heading."""
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found
    return found[1]


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.compute_bound
def test_library_quick_start(spark, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "README"}
    exec(compile(block("python", "## keras2dml"), "README.md", "exec"), names)
    model = names["sysml_model"]
    assert model.score(names["X_test"], names["y_test"]) > 0.5
    assert "% of the test images" in capsys.readouterr().out
    assert len(model.iterations) == 30
    assert len(list((tmp_path / "weights_dir").glob("*_weight.mtx"))) == 4


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.long
def test_the_librarys_own_page(java_17, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", LIBRARY.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    accuracies = [float(number) for number in re.findall(r"^0\.\d+$", done.stdout, re.MULTILINE)]
    assert len(accuracies) == 3 and min(accuracies) > 0.8, done.stdout


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
    lines = [line for line in block("sh", "## Step by step").splitlines() if line.strip()]
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
