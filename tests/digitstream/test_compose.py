"""The services of docker-compose.yml: their form, and their commands as they run without it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from contract.data import datasets
from digitstream.kafka.server import Broker

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {"kafka", "mlflow", "scorer", "archiver"}
OURS = {"mlflow", "trainer", "scorer", "archiver", "producer"}
# What waits here waits for something to happen, on however slow a machine.
PATIENCE = 900
DEFAULT = re.compile(r"\$\{\w+:-(\w+)\}")
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


def test_one_service_builds_the_one_image_and_nobody_pulls_it() -> None:
    assert {service["image"] for name, service in SERVICES.items() if name in OURS} == {
        "digitstream:0.1.0"
    }
    assert [name for name, service in SERVICES.items() if "build" in service] == ["mlflow"]
    assert all(SERVICES[name]["pull_policy"] == "never" for name in OURS)


def test_ports_are_published_on_loopback_where_kafka_says_it_is() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {
        "kafka": ["127.0.0.1:${KAFKA_PORT:-9092}:9092"],
        "mlflow": ["127.0.0.1:${MLFLOW_PORT:-5000}:5000"],
    }
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert DEFAULT.sub(r"\1", advertised) == "INSIDE://kafka:19092,OUTSIDE://localhost:9092"
    allowed = next(word for word in SERVICES["mlflow"]["command"] if "allowed-hosts" in word)
    assert "localhost:${MLFLOW_PORT:-5000}" in allowed


def test_whoever_stops_does_so_in_time_and_comes_back() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ("restart" in service) == (name in LASTING), name
    for name in ("kafka", "scorer", "archiver"):
        assert SERVICES[name]["stop_grace_period"] == "60s"


@pytest.fixture
def native(kafka_broker: Broker, tmp_path: Path) -> Callable[[str], str]:
    """What turns a service's words into those for this machine."""
    port = _free_port()
    inside = kafka_broker.bootstrap_servers
    here = {
        "kafka:19092": inside,
        "127.0.0.1/19092": inside.replace(":", "/"),
        "mlflow:5000": f"127.0.0.1:{port}",
        "localhost:5000": f"localhost:{port}",
        "127.0.0.1:5000": f"127.0.0.1:{port}",
        "--port=5000": f"--port={port}",
        "0.0.0.0": "127.0.0.1",
        "/data": str(tmp_path),
    }

    def words(text: str) -> str:
        text = DEFAULT.sub(r"\1", text)
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
    assert _is_healthy("kafka", native)
    assert not any(_is_healthy(name, native) for name in ("mlflow", "scorer", "archiver"))
    with _started("mlflow", native, tmp_path, fewer):
        _until(lambda: _is_healthy("mlflow", native))
        assert '"trained": false' not in _run("trainer", native, fewer, "--json")
        again = json.loads(_run("trainer", native, fewer, "--json"))
        assert again == {"version": "1", "trained": False}
        with _started("scorer", native, tmp_path, fewer) as scorer:
            _run("producer", native, fewer)
            found = _settled(native, fewer)
            _until(lambda: _is_healthy("scorer", native))
            scorer.terminate()
            assert scorer.wait(PATIENCE) == 0, (tmp_path / "scorer.log").read_text()
        with _started("archiver", native, tmp_path, fewer) as archiver:
            log = tmp_path / "tables" / "readings" / "_delta_log"
            _until(lambda: len(list(log.glob("*.json"))) > 1)
            _until(lambda: _is_healthy("archiver", native))
            archiver.terminate()
            assert archiver.wait(PATIENCE) == 0, (tmp_path / "archiver.log").read_text()
    assert not _is_healthy("mlflow", native)
    assert (found["produced"], found["missing"], found["in_flight"]) == (10_000, 0, 0)
    assert found["dead_lettered"] > 0


def _command(service: str, native: Callable[[str], str]) -> list[str]:
    name, *arguments = (native(word) for word in SERVICES[service]["command"])
    return [str(Path(sys.executable).parent / name), *arguments]


def _environ(native: Callable[[str], str], more: dict[str, str]) -> dict[str, str]:
    settings = COMPOSE["x-digitstream"]["environment"]
    return {**os.environ, **{name: native(value) for name, value in settings.items()}, **more}


def _is_healthy(service: str, native: Callable[[str], str]) -> bool:
    """Whether the service's own check says so, on a machine without Java."""
    kind, program, *arguments = map(native, SERVICES[service]["healthcheck"]["test"])
    assert kind == "CMD"
    here = {"python": sys.executable, "bash": shutil.which("bash") or "bash"}
    environ = {**_environ(native, {"PATH": ""}), "JAVA_HOME": ""}
    done = subprocess.run([here[program], *arguments], env=environ, check=False, timeout=60)
    return done.returncode == 0


def _run(service: str, native: Callable[[str], str], more: dict[str, str], *words: str) -> str:
    """What the service's command reports."""
    done = subprocess.run(
        [*_command(service, native), *words],
        env=_environ(native, more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    """What `reconcile` counts once nothing is in flight, or after very long."""
    command = [sys.executable, "-m", "digitstream", "reconcile", "--json"]
    deadline = time.monotonic() + PATIENCE
    while True:
        done = subprocess.run(
            command, env=_environ(native, more), capture_output=True, text=True, check=False
        )
        found: dict[str, Any] = json.loads(done.stdout)
        if found["in_flight"] == 0 or time.monotonic() > deadline:
            return found


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
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
