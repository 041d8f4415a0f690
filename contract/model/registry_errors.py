"""What went wrong with the registry, in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from contract.errors import BundleError, NoChampion, RegistryUnavailable
from contract.model import runs
from contract.wire.reasons import shown

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How MLflow says that there is no such model, version or alias."""

# Where the errors come from of what asks a server, or a file, and reads its answer.
_CLIENTS = ("alembic", "mlflow", "sqlalchemy", "google.protobuf", "requests", "urllib3")

_REMEDIES = {
    sqlite3.SQLITE_BUSY: "One process writes to it at a time, and another one holds it locked. Run "
    "it again when that has ended.",
    sqlite3.SQLITE_FULL: "It must have room to write. Make some on its disk.",
}


@contextmanager
def explained(uri: str, artifacts: Path, missing: str | None) -> Iterator[None]:
    """Turn the errors of MLflow at `uri`, and of the folder of its files, into ours.

    NoChampion says what is `missing`, and the remedy, if MLflow says that it does not have that, or
    there is no database yet, which a question does not make.
    """
    file = _file(uri)
    if file is not None and missing is not None and not file.exists():
        message = f"The registry {uri} does not have {missing}"
        raise NoChampion(message)
    if file is not None and file.exists() and not file.is_file():
        message = (
            f"The registry {uri} cannot be opened: {file} is no regular file. It must be a SQLite "
            f"file, or an MLflow server. Move it away, or check --tracking-uri."
        )
        raise RegistryUnavailable(message)
    try:
        yield
    except Exception as exc:  # MLflow's own, and those of what it stores its tables with
        code = getattr(exc, "error_code", None)
        if isinstance(exc, OSError) and type(exc).__module__ == "builtins":
            message = (
                f"The registry {uri} cannot keep its bundles: {exc}. They lie in {artifacts}, "
                f"which must take files of this user. Make room, give the folder to this user, or "
                f"choose another --home."
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
    """The SQLite file that it is of, if it is of one."""
    path = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(path) if path != uri else None


def _remedy(exc: BaseException) -> str:
    """What to do about it, by what SQLite says, if it does."""
    causes = _causes(exc)
    codes = {
        cause.sqlite_errorcode for cause in causes if isinstance(cause, sqlite3.OperationalError)
    }
    for code, remedy in _REMEDIES.items():
        if any(number & 0xFF == code for number in codes):  # the rest of it says more
            return remedy
    return (
        "It must be a SQLite file that we may write, or an MLflow server that runs. Check "
        "--tracking-uri."
    )


def check_about(uri: str, model: str, answer: Any) -> Any:
    """What MLflow at `uri` answered; RegistryUnavailable unless it is about this model."""
    if answer.name != model:
        message = (
            f"The registry {uri} failed: it answered nothing of the model {model} that it was "
            f"asked for. It must be an MLflow server. Check --tracking-uri."
        )
        raise RegistryUnavailable(message)
    return answer


def check_registered(uri: str, model: str, version: Any) -> None:
    """Raise BundleError unless a version names the run that made it, by which it is kept."""
    check_about(uri, model, version)
    if not runs.is_named(version.run_id):
        message = (
            f"Version {version.version} of model {model} names no run of MLflow, and so has no "
            f"bundle. A version must come from training or `Registry.register`. Train again, and "
            f"promote that."
        )
        raise BundleError(message)


def _causes(exc: BaseException) -> list[BaseException]:
    """An error and those that led to it."""
    causes = [exc]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    return causes


def _reason(exc: BaseException) -> str:
    """What went wrong, in a line that can be shown: some of it may be a server's text."""
    from urllib3.exceptions import TimeoutError as Silent  # noqa: PLC0415  (who asked has it)

    causes = _causes(exc)
    refused = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if refused:
        return f"no answer ({refused[0]})"
    if any(isinstance(cause, (HTTPException, Silent)) for cause in causes):
        return "no answer in time"  # or it was cut, then
    return shown((str(exc).splitlines() or [type(exc).__name__])[0]).rstrip(".")


@contextmanager
def already_there() -> Iterator[None]:
    """Let a thing be made that another process, or an earlier run, may have made."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  (a second; see Registry)

    try:
        yield
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
