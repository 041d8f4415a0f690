"""What went wrong with the registry, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import NoChampion, RegistryUnavailable

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How MLflow says that there is no such model, version or alias."""


@contextmanager
def explained(uri: str, artifacts: Path, missing: str | None) -> Iterator[None]:
    """Turn the errors of MLflow at `uri`, and of the folder of its files, into ours.

    NoChampion says what is `missing`, and the remedy, if MLflow says that it does not have that.
    """
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
        if code is None and not type(exc).__module__.startswith(("mlflow", "sqlalchemy")):
            raise
        if missing is not None and code in ABSENT:
            message = f"The registry {uri} does not have {missing}"
            raise NoChampion(message) from exc
        message = (
            f"The registry {uri} failed: {str(exc).splitlines()[0]}. It must be a SQLite file that "
            f"we may write, or an MLflow server. Check --tracking-uri."
        )
        raise RegistryUnavailable(message) from exc


@contextmanager
def already_there() -> Iterator[None]:
    """Let a thing be made that another process, or an earlier run, may have made."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  (a second; see Registry)

    try:
        yield
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
