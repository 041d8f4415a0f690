"""What a command can know before it starts Spark it says before."""

from __future__ import annotations

from pathlib import Path

import pytest

import keras2dml
from tests.digitstream.conftest import Run


@pytest.fixture(autouse=True)
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras2dml, "spark_session", None, raising=False)


def test_data_that_are_not_there_train_nothing(run: Run) -> None:
    code, _, said = run("train", "--data", "nowhere")
    assert (code, said.splitlines()[-1][:27]) == (1, "There is no folder nowhere.")


def test_a_registry_that_cannot_be_written_trains_nothing(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "mlflow.db").mkdir(parents=True)
    code, _, said = run("train", "--home", str(home))
    assert code == 1 and "mlflow.db is not a regular file" in said


@pytest.mark.parametrize("alias", ["challanger", "previous", ""])
def test_an_alias_that_scoring_does_not_know_is_refused(run: Run, alias: str) -> None:
    code, _, said = run("models", "promote", "1", "--alias", alias)
    assert code == 1 and "it must be champion or challenger" in said
