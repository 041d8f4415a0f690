"""Versions, aliases and runs in a real MLflow on SQLite."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest

from contract.errors import NoChampion, RegistryUnavailable
from contract.model import bundle, runs
from contract.model.bundle import Bundle
from contract.model.registry import Registry

Make = Callable[..., Bundle]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


def registry_in(home: Path, model: str) -> Registry:
    return Registry(f"sqlite:///{home}/mlflow.db", home / "artifacts", model)


def test_an_empty_registry_has_no_champion_and_says_what_to_do(home: Path) -> None:
    registry = registry_in(home, "empty")
    assert registry.versions() == []
    with pytest.raises(NoChampion, match=r"alias champion of model empty\..*digitstream train"):
        registry.resolve()


def test_a_home_that_was_moved_has_its_versions_and_takes_more(make: Make, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    first, second = (make(tmp_path / name, accuracy=of) for name, of in (("a", 0.5), ("b", 0.75)))
    registry = registry_in(before, "digits")
    registry.promote(registry.register(first, parameters={}))
    before.rename(after)
    moved = registry_in(after, "digits")
    assert bundle.load(moved.resolve().folder).digest == first.digest
    moved.promote(moved.register(second, parameters={}))
    folder = moved.resolve().folder
    assert folder.is_relative_to(after)
    assert bundle.load(folder).digest == second.digest
    assert not before.exists()
    assert [version.version for version in moved.versions()] == ["2", "1"]


def test_a_folder_that_takes_no_bundles_is_one_sentence(make: Make, tmp_path: Path) -> None:
    (tmp_path / "artifacts").touch()
    registry = registry_in(tmp_path, "digits")
    told = r"cannot store its bundles: .* another --home\."
    with pytest.raises(RegistryUnavailable, match=told):
        registry.register(make(tmp_path / "a", accuracy=0.5), parameters={})
    with pytest.raises(RegistryUnavailable, match=told):
        registry.check_writable()
    (tmp_path / "artifacts").unlink()
    registry.check_writable()


def test_a_registered_bundle_is_listed_promoted_and_found_again(
    home: Path, make: Make, tmp_path: Path
) -> None:
    registry = registry_in(home, "digits")
    first, second = (make(tmp_path / name, accuracy=of) for name, of in (("a", 0.5), ("b", 0.75)))
    assert [registry.register(each, parameters={"lr": 0.01}) for each in (first, second)] == [
        "1",
        "2",
    ]
    registry.promote("1")
    assert bundle.load(registry.resolve().folder).digest == first.digest
    registry.promote("2")
    found = registry.resolve()
    assert (found.name, found.version) == ("digits", "2")
    assert bundle.load(found.folder).digest == second.digest
    listed = [(each.version, each.aliases, each.metrics) for each in registry.versions()]
    assert listed == [
        ("2", ("champion",), {"test_accuracy": 0.75}),
        ("1", ("previous",), {"test_accuracy": 0.5}),
    ]


def test_the_run_keeps_parameters_course_and_plots(home: Path, made: Bundle) -> None:
    registry = registry_in(home, "course")
    history = [{"loss": 1.0 / (step + 1), "accuracy": 0.25} for step in range(2500)]
    registry.register(made, parameters={"optimizer": "SGD", "lr": 0.01}, history=history)
    [version] = registry.versions()
    client = mlflow.MlflowClient(registry.tracking_uri)
    run = client.get_run(version.run)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"optimizer": "SGD", "lr": "0.01"}
    course = client.get_metric_history(version.run, "loss")
    assert [point.value for point in course] == [row["loss"] for row in history]
    # What was measured on images held out is no step of the training.
    assert {point.value for point in client.get_metric_history(version.run, "accuracy")} == {0.25}
    (tested,) = client.get_metric_history(version.run, "test_accuracy")
    assert (tested.value, tested.step) == (made.manifest.metrics["accuracy"], 2499)
    assert [file.path for file in client.list_artifacts(version.run, "plots")] == ["plots/loss.png"]


@pytest.mark.parametrize("version", ["7", "seven", ""])
def test_only_a_version_that_exists_can_be_promoted(home: Path, made: Bundle, version: str) -> None:
    registry = registry_in(home, "unknown")
    registry.register(made, parameters={})
    with pytest.raises(NoChampion, match=f"does not have the version {version}"):
        registry.promote(version)


def test_a_rollback_brings_back_who_was_champion_before(
    home: Path, make: Make, tmp_path: Path
) -> None:
    registry = registry_in(home, "rolled")
    for name in ("a", "b"):
        registry.register(make(tmp_path / name), parameters={})
    registry.promote("1")
    with pytest.raises(NoChampion, match=r"alias previous .* when another one replaces it"):
        registry.rollback()
    registry.promote("2")
    assert registry.rollback("it was worse") == ("2", "1")
    assert registry.resolve().version == "1"
    listed = {each.version: (each.aliases, each.removed) for each in registry.versions()}
    assert listed == {"2": ((), "it was worse"), "1": (("champion",), None)}
    registry.promote("2")
    assert {each.version: each.removed for each in registry.versions()} == {"2": None, "1": None}


def test_a_champion_is_watched_by_the_one_before_it_until_it_has_passed(
    home: Path, made: Bundle
) -> None:
    registry = registry_in(home, "watched")
    with pytest.raises(NoChampion, match="alias champion"):
        registry.baseline()
    for _ in range(2):
        registry.register(made, parameters={})
    registry.promote("1")
    assert registry.baseline() is None
    registry.promote("2")
    assert registry.baseline() == registry.resolve("previous")
    registry.mark_passed("2")
    assert registry.baseline() is None
    registry.promote("1")
    registry.promote("2")
    assert registry.baseline() == registry.resolve("previous")
    registry.rollback()
    assert registry.baseline() is None


def test_an_alias_is_only_taken_from_the_version_that_has_it(home: Path, made: Bundle) -> None:
    registry = registry_in(home, "dismissed")
    registry.register(made, parameters={})
    with pytest.raises(NoChampion, match="--alias challenger"):
        registry.resolve("challenger")
    registry.promote("1", "challenger")
    registry.remove_alias("7", "challenger", "another one's fault")
    assert registry.resolve("challenger").version == "1"
    registry.remove_alias("1", "challenger", "its own")
    [version] = registry.versions()
    assert (version.aliases, version.removed) == ((), "its own")


def test_a_removal_that_failed_halfway_is_finished_by_the_next_try(
    home: Path, made: Bundle
) -> None:
    registry = registry_in(home, "halfway")
    for _ in range(3):
        registry.register(made, parameters={})
    registry.promote("1")
    registry.promote("2")
    client = mlflow.MlflowClient(registry.tracking_uri)
    client.set_registered_model_alias("halfway", "champion", "1")  # and no further
    registry.remove_alias("2", "champion", "it was worse", instead="1")
    with pytest.raises(NoChampion, match="alias previous"):
        registry.resolve("previous")
    registry.promote("3")
    registry.remove_alias(
        "2", "champion", "it was worse", instead="1"
    )  # somebody chose another one
    assert (registry.resolve().version, registry.resolve("previous").version) == ("3", "1")


@pytest.mark.slow
def test_another_process_sees_a_promotion_at_once(home: Path, made: Bundle) -> None:
    registry = registry_in(home, "shared")
    registry.register(made, parameters={})
    code = (
        "import sys; from pathlib import Path; from contract.model.registry import Registry; "
        "Registry(sys.argv[1], Path(sys.argv[2]), 'shared').promote('1')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, registry.tracking_uri, str(registry.artifacts)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert registry.resolve().version == "1"


def test_resolving_is_cheap_enough_for_every_micro_batch(home: Path, made: Bundle) -> None:
    registry = registry_in(home, "cheap")
    registry.register(made, parameters={})
    registry.promote("1")
    registry.resolve()
    began = time.perf_counter()
    for _ in range(20):
        registry.resolve()
    assert (time.perf_counter() - began) / 20 < 0.05


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stores = ("--backend-store-uri", f"sqlite:///{tmp_path}/server.db")
    artifacts = ("--artifacts-destination", str(tmp_path / "server"))
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *stores, *artifacts],
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    with socket.socket() as attempt:
        while attempt.connect_ex(("127.0.0.1", port)) != 0 and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            threading.Event().wait(0.2)
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


@pytest.mark.slow
def test_a_server_is_a_registry_too_and_its_bundles_are_fetched_once(
    server: str,
    made: Bundle,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(server, tmp_path / "here", "digits")
    registry.promote(registry.register(made, parameters={"lr": 0.01}))
    found = registry.resolve()
    assert found.folder.is_relative_to(tmp_path / "here")
    assert bundle.load(found.folder).digest == made.digest
    fetched = found.folder.stat().st_mtime_ns
    assert registry.resolve() == found
    assert found.folder.stat().st_mtime_ns == fetched
    assert [version.aliases for version in registry.versions()] == [("champion",)]
    monkeypatch.setattr(runs, "FILES", 5)
    elsewhere = Registry(server, tmp_path / "there", "digits")
    with pytest.raises(RegistryUnavailable, match=r"not fetched: it is larger than .* 5 files"):
        elsewhere.resolve()
    assert not list((tmp_path / "there").rglob("*"))
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_registry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no SQLite file, but long enough to be read as one")
    with pytest.raises(RegistryUnavailable, match=r"failed: .*Check --tracking-uri"):
        registry_in(tmp_path, "digits").resolve()


def test_nothing_of_mlflow_is_imported_before_it_is_asked() -> None:
    code = "import sys, contract.model.registry; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
