"""Ctrl-C while a model is trained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quick_java import QUICK


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
def test_ctrl_c_is_one_word(tmp_path: Path) -> None:
    # A shell starts what runs in its background without SIGINT.
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "digitstream",
        "train",
        "--home",
        str(tmp_path),
        "--batch-size",
        "10",
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **QUICK}
    ) as training:
        lines = training.stderr or iter(())
        for line in lines:
            if "Training steps" in line:
                break
        training.send_signal(signal.SIGINT)
        said = [line for line in lines if "Training steps" not in line]
    assert training.returncode == 130
    assert said == ["Stopped.\n"]
