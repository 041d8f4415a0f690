"""Locks, and the checkpoint folder of a query, which only one process may use at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from contract import files
from contract.errors import StateError
from contract.home.checkpoint import lock_of

# The JVM of a killed process lives on for some seconds.
_PATIENCE_SECONDS = 20
_PAUSE_SECONDS = 0.2


FILES = 100_000
"""Most files and folders in a checkpoint: Spark keeps those of the last 100 micro-batches."""


class CheckpointInUse(StateError):
    """Another process uses the checkpoint."""

    retriable = True


class CheckpointUnusable(StateError):
    """A checkpoint's folder holds something other than regular files, such as pipes or links, or
    cannot be written.
    """


class LockUnusable(StateError):
    """A lock file cannot be opened."""


def check_regular(folder: Path) -> None:
    """Raise CheckpointUnusable unless a folder holds only regular files and folders."""
    try:
        strange = [f"{name} is {kind}" for name, kind in files.below(folder, FILES).items() if kind]
    except OSError as exc:
        strange = [exc.strerror or str(exc)]
    if strange:
        message = (
            f"The checkpoint {folder} cannot be used: {'; '.join(strange[:5])}. It may hold only "
            f"regular files, as Spark would wait for anything else. Remove the others."
        )
        raise CheckpointUnusable(message)


@contextmanager
def claim(spark: SparkSession, folder: Path, wait: Callable[[float], object]) -> Iterator[None]:
    """Create the folder and lock it for this process while the body runs; `wait` sleeps for some
    seconds.

    Raises CheckpointInUse, CheckpointUnusable and LockUnusable.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    check_regular(folder)
    with hold_lock(spark, lock_of(folder), wait, _PATIENCE_SECONDS) as is_held:
        if not is_held:
            message = (
                f"Another process scores with the checkpoint {folder}. Two would answer each "
                f"reading twice. Stop the other process, or choose another --home for this one."
            )
            raise CheckpointInUse(message)
        yield


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise CheckpointUnusable if the body cannot write to a checkpoint, or beside it."""
    try:
        yield
    except OSError as exc:
        message = (
            f"The checkpoint {folder} cannot be written: {exc.strerror or exc}. A query records "
            f"its progress there, so that it loses nothing. Free disk space, let this user write "
            f"to the folder, or choose another --home."
        )
        raise CheckpointUnusable(message) from exc


@contextmanager
def hold_lock(
    spark: SparkSession,
    file: Path,
    wait: Callable[[float], object],
    seconds: float = _PATIENCE_SECONDS,
) -> Iterator[bool]:
    """Create and lock a file while the body runs; yields False if another process still holds the
    lock after these seconds.

    The session's JVM holds the lock, so that it lasts exactly as long as the process that writes,
    even if this process is killed. Raises LockUnusable.
    """
    try:
        lock = cast(Any, spark._jvm).java.io.RandomAccessFile(str(file.resolve()), "rw")
    except Py4JJavaError as exc:
        message = (
            f"The lock {file} cannot be opened: {exc.java_exception.getMessage()}. A process must "
            f"hold it to write beside it. Let this user write to it and its folder, or choose "
            f"another place."
        )
        raise LockUnusable(message) from exc
    try:
        for _ in range(max(1, round(seconds / _PAUSE_SECONDS))):
            if is_held := _locks(lock):
                break
            wait(_PAUSE_SECONDS)
        yield is_held
    finally:
        lock.close()


def _locks(file: Any) -> bool:
    """Try to lock the file; False if another process or another session of this JVM holds it."""
    try:
        return file.getChannel().tryLock() is not None
    except Py4JJavaError as error:
        if "OverlappingFileLockException" not in str(error.java_exception):
            raise
        return False
