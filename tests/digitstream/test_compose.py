"""The services of docker-compose.yml: their form, and their commands as they run without it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contract import datasets
from digitstream.broker import Broker

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {"kafka", "mlflow", "scorer", "archiver"}
SECRET = ("password", "secret", "token", "credential", "key=")


def test_the_file_keeps_the_compose_schema() -> None:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_services_are_pinned_and_watched_and_keep_no_secret() -> None:
    assert set(SERVICES) == {*LASTING, "trainer", "producer"}
    for service in SERVICES.values():
        _, _, tag = service["image"].partition(":")
        assert tag[:1].isdigit(), service["image"]
    assert {name for name, service in SERVICES.items() if "healthcheck" in service} == LASTING
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            healthy = needed["condition"] == "service_healthy"
            assert healthy == (name in LASTING)
    text = FILE.read_text().lower()
    assert not any(word in text for word in SECRET)


def test_the_images_of_the_dockerfile_are_pinned() -> None:
    bases = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if "FROM" in line]
    assert bases == ["FROM python:3.12.11-slim-bookworm"]


@pytest.fixture
def native(kafka_broker: Broker, tmp_path: Path) -> Callable[[str], str]:
    """What turns a service's words into those for this machine."""
    port = _free_port()
    here = {
        "kafka:9092": kafka_broker.bootstrap_servers,
        "mlflow:5000": f"127.0.0.1:{port}",
        "localhost:5000": f"localhost:{port}",
        "--port=5000": f"--port={port}",
        "0.0.0.0": "127.0.0.1",
        "/data": str(tmp_path),
    }

    def words(text: str) -> str:
        for there, instead in here.items():
            text = text.replace(there, instead)
        return text

    return words


@pytest.mark.kafka
@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.slow
@pytest.mark.long
def test_each_service_does_its_work_natively(native: Callable[[str], str], tmp_path: Path) -> None:
    few = tmp_path / "few"
    _write_few(few)
    fewer = {"DIGITSTREAM_DATA": str(few), "DIGITSTREAM_PREFIX": tmp_path.name}
    with _started("mlflow", native, tmp_path, fewer):
        _wait_for(native("http://mlflow:5000/health"))
        _run("trainer", native, fewer)
        with _started("scorer", native, tmp_path, fewer) as scorer:
            _run("producer", native, fewer)
            found = _settled(native, fewer)
            scorer.terminate()
            assert scorer.wait(60) == 0, (tmp_path / "scorer.log").read_text()
        with _started("archiver", native, tmp_path, fewer) as archiver:
            log = tmp_path / "tables" / "readings" / "_delta_log"
            _until(lambda: len(list(log.glob("*.json"))) > 1)
            archiver.terminate()
            assert archiver.wait(120) == 0, (tmp_path / "archiver.log").read_text()
    assert (found["produced"], found["missing"], found["in_flight"]) == (10_000, 0, 0)
    assert found["dead_lettered"] > 0


def _command(service: str, native: Callable[[str], str]) -> list[str]:
    name, *arguments = (native(word) for word in SERVICES[service]["command"])
    return [str(Path(sys.executable).parent / name), *arguments]


def _environ(native: Callable[[str], str], more: dict[str, str]) -> dict[str, str]:
    settings = COMPOSE["x-digitstream"]["environment"]
    return {**os.environ, **{name: native(value) for name, value in settings.items()}, **more}


def _run(service: str, native: Callable[[str], str], more: dict[str, str]) -> None:
    done = subprocess.run(
        _command(service, native),
        env=_environ(native, more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def _started(
    service: str, native: Callable[[str], str], folder: Path, more: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (folder / f"{service}.log").open("w") as log,
        subprocess.Popen(
            _command(service, native), env=_environ(native, more), stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def _settled(native: Callable[[str], str], more: dict[str, str]) -> dict[str, Any]:
    """What `reconcile` counts once nothing is in flight, or after two minutes."""
    command = [sys.executable, "-m", "digitstream", "reconcile", "--json"]
    deadline = time.monotonic() + 120
    while True:
        done = subprocess.run(
            command, env=_environ(native, more), capture_output=True, text=True, check=False
        )
        found: dict[str, Any] = json.loads(done.stdout)
        if found["in_flight"] == 0 or time.monotonic() > deadline:
            return found


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"nothing at {address}"


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _write_few(folder: Path) -> None:
    """The sample with a twentieth of its training images, as an IDX folder."""
    folder.mkdir()
    for file in datasets.SAMPLE_FOLDER.glob("t10k-*"):
        shutil.copy(file, folder)
    train = datasets.sample("train")
    images, labels = train.images[:400, :, :, 0], train.labels[:400].astype(np.uint8)
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        sizes = np.array(values.shape, ">i4").tobytes()
        header = bytes([0, 0, 8, values.ndim]) + sizes
        (folder / f"train-{name}-ubyte").write_bytes(header + values.tobytes())
