from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from contract.data import datasets, idx
from tests.listening import overheard
from tests.quick_java import QUICK

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.systemds, pytest.mark.slow]


def start(home: Path, *flags: str, **environ: str) -> subprocess.Popen[str]:
    """`digitstream demo`, as from a shell of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "digitstream", "demo", "--home", str(home), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, **environ},
    )


def left_behind(home: Path) -> list[str]:
    """The processes that still have to do with this home."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(home) in word for word in words):
            found.append(" ".join(process.cmdline()))
    return found


@pytest.fixture
def zeros_and_ones(tmp_path: Path) -> str:
    """A third of the sample's 0s and 1s, as IDX files: LeNet tells them apart after a few steps."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, name in datasets.PREFIXES.items():
        data = datasets.sample(split)
        chosen = np.flatnonzero(data.labels < 2)[::3]
        idx.write(folder / f"{name}-images-idx3-ubyte.gz", data.images[chosen, ..., 0])
        idx.write(folder / f"{name}-labels-idx1-ubyte.gz", data.labels[chosen].astype(np.uint8))
    return str(folder)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("data", [pytest.param("sample", marks=pytest.mark.long), "zeros_and_ones"])
def test_the_demo_answers_every_reading_and_reports(
    tmp_path: Path, request: pytest.FixtureRequest, data: str
) -> None:
    home = tmp_path / "home"
    flags = ["--epochs", "2", "--readings", "1000"]
    if data != "sample":
        flags += ["--data", request.getfixturevalue(data)]
    with start(home, *flags) as demo, overheard(demo.pid) as listeners:
        said = demo.communicate()[0]
    assert demo.returncode == 0, said
    assert listeners.elsewhere == []
    assert all(listeners.of(program) for program in ("kafka.Kafka", " train ", " score "))
    report = json.loads((home / "report.json").read_text())
    assert report["readings"] == 1_000 == report["scored"] + report["dead_letters"]
    assert report["missing"] == 0
    assert report["engine"] in {"onnx", "openvino", "openvino-int8"}  # the fastest here
    assert 0 < report["dead_letters"] < 30
    assert report["accuracy"] >= 0.95 and report["train"]["accuracy"] >= 0.95
    assert report["labelled"] == report["scored"]
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert len(list((home / "report").glob("*.png"))) == 3
    assert "The demo's report" in said and "Traceback" not in said
    assert left_behind(home) == []


@pytest.mark.parametrize(
    "until",
    [
        pytest.param("Training LeNet", id="start"),
        pytest.param("training steps", id="middle", marks=pytest.mark.long),
    ],
)
def test_ctrl_c_stops_everything(tmp_path: Path, until: str) -> None:
    home = tmp_path / "home"
    with start(home, **QUICK) as demo:
        for line in demo.stdout or ():
            if until.lower() in line.lower():
                break
        demo.send_signal(signal.SIGINT)
        began = time.monotonic()
        said = demo.communicate(timeout=60)[0]
    assert demo.returncode == 130, said
    assert time.monotonic() - began < 60
    assert "Traceback" not in said
    assert left_behind(home) == []
