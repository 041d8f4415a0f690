"""Turns errors of MLflow and its server into our own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from contract.errors import BundleError, NoChampion, RegistryUnavailable
from contract.model import runs
from contract.wire.reasons import printable

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's error codes for a missing model, version or alias."""

# The packages whose errors mean that the registry failed.
_CLIENTS = ("alembic", "mlflow", "sqlalchemy", "google.protobuf", "requests", "urllib3")

_REMEDIES = {
    sqlite3.SQLITE_BUSY: "Only one process writes to it at a time, and another one has it locked. "
    "Try again when that has ended.",
    sqlite3.SQLITE_FULL: "It needs free space to write. Free some on its disk.",
}


@contextmanager
def translate_errors(uri: str, artifacts: Path, missing: str | None) -> Iterator[None]:
    """Raise errors of MLflow at `uri`, and of its folder `artifacts`, as our own.

    If MLflow, or a missing database, does not have what is asked for, raises NoChampion with
    `missing`, which names it and the remedy; without `missing`, RegistryUnavailable.
    """
    file = _file(uri)
    if file is not None and missing is not None and not file.exists():
        message = f"The registry {uri} does not have {missing}"
        raise NoChampion(message)
    if file is not None and file.exists() and not file.is_file():
        message = (
            f"The registry {uri} cannot be opened: {file} is not a regular file. It must be a "
            f"SQLite file, or an MLflow server. Move it away, or check --tracking-uri."
        )
        raise RegistryUnavailable(message)
    try:
        yield
    except Exception as exc:  # of MLflow, its HTTP client or its database
        code = getattr(exc, "error_code", None)
        if isinstance(exc, OSError) and type(exc).__module__ == "builtins":
            message = (
                f"The registry {uri} cannot store its bundles: {exc}. They are in {artifacts}, "
                f"where this user must be able to write. Free some space, change the folder's "
                f"owner, or choose another --home."
            )
            raise RegistryUnavailable(message) from exc
        if code is None and not type(exc).__module__.startswith(_CLIENTS):
            raise
        if missing is not None and code in ABSENT:
            message = f"The registry {uri} does not have {missing}"
            raise NoChampion(message) from exc
        message = f"The registry {uri} failed: {_reason(exc)}. {_remedy(exc)}"
        raise RegistryUnavailable(message) from exc


def _file(uri: str) -> Path | None:
    """The file of a SQLite registry, None for another one."""
    path = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(path) if path != uri else None


def _remedy(exc: BaseException) -> str:
    """The remedy, by SQLite's error code if there is one."""
    causes = _causes(exc)
    codes = {
        cause.sqlite_errorcode for cause in causes if isinstance(cause, sqlite3.OperationalError)
    }
    for code, remedy in _REMEDIES.items():
        if any(number & 0xFF == code for number in codes):  # the low byte is the primary code
            return remedy
    return "It must be a writable SQLite file, or a running MLflow server. Check --tracking-uri."


def check_about(uri: str, model: str, answer: Any) -> Any:
    """Return MLflow's answer; raises RegistryUnavailable unless it is about this model."""
    if answer.name != model:
        message = (
            f"The registry {uri} failed: its answer is not about the model {model}. It must be an "
            f"MLflow server. Check --tracking-uri."
        )
        raise RegistryUnavailable(message)
    return answer


def check_registered(uri: str, model: str, version: Any) -> None:
    """Raise BundleError unless a version names the run that made it."""
    check_about(uri, model, version)
    if not runs.is_named(version.run_id):
        message = (
            f"Version {version.version} of model {model} names no run of MLflow, and so has no "
            f"bundle. A version must come from training or `Registry.register`. Train again, and "
            f"promote the new version."
        )
        raise BundleError(message)


def _causes(exc: BaseException) -> list[BaseException]:
    """An error and its causes."""
    causes = [exc]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    return causes


def _reason(exc: BaseException) -> str:
    """The reason of a failure as one printable line; it may contain a server's text."""
    from urllib3.exceptions import TimeoutError as HttpTimeout  # noqa: PLC0415  (loaded by now)

    causes = _causes(exc)
    reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if reasons:
        return f"no answer ({reasons[0]})"
    if any(isinstance(cause, (HTTPException, HttpTimeout)) for cause in causes):
        return "no answer in time"  # a timeout, or `registry_http` closed the connection
    return printable((str(exc).splitlines() or [type(exc).__name__])[0]).rstrip(".")


@contextmanager
def ignore_existing() -> Iterator[None]:
    """Ignore in the body that what it creates exists already."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  (a second; see Registry)

    try:
        yield
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
