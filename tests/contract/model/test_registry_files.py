"""A registry in a SQLite file: none yet, one that is no file, of another release, locked, full."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from contract.errors import NoChampion, RegistryUnavailable
from contract.model.registry import Registry
from contract.model.registry_errors import translate_errors


def registry_in(home: Path, model: str) -> Registry:
    return Registry(f"sqlite:///{home}/mlflow.db", home / "artifacts", model)


def test_a_question_makes_no_database(tmp_path: Path) -> None:
    registry = registry_in(tmp_path / "none", "digits")
    assert registry.versions() == []
    with pytest.raises(NoChampion, match="does not have the alias champion"):
        registry.resolve()
    assert not (tmp_path / "none").exists()


def test_a_database_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(RegistryUnavailable, match=r"mlflow\.db is not a regular file"):
        registry_in(tmp_path, "digits").versions()


def test_a_database_of_another_release_is_one_sentence(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        database.execute("INSERT INTO alembic_version VALUES ('\x1b[31mzzz')")
        database.commit()
    with pytest.raises(RegistryUnavailable, match="Can't locate revision") as error:
        registry_in(tmp_path, "digits").versions()
    assert str(error.value).isprintable()


def test_who_meets_a_locked_database_is_told_to_wait(tmp_path: Path) -> None:
    registry = registry_in(tmp_path, "locked")
    busy, full = (sqlite3.OperationalError("x") for _ in range(2))
    busy.sqlite_errorcode, full.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_FULL
    for cause, remedy in ((busy, "Try again when that has ended"), (full, "Free some")):
        with (
            pytest.raises(RegistryUnavailable, match=remedy),
            translate_errors(registry.tracking_uri, tmp_path, None),
        ):
            raise MlflowException(str(cause)) from cause
