"""The folder where a query keeps how far it got, claimed by one process at a time; locks."""

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

# The JVM of a process that was killed goes on for some seconds.
_PATIENCE_SECONDS = 20
_PAUSE_SECONDS = 0.2


FILES = 100_000
"""Files and folders in a checkpoint at most: Spark keeps those of the last 100 micro-batches."""


class CheckpointInUse(StateError):
    """Another process runs the same query on the same checkpoint."""

    retriable = True


class CheckpointUnusable(StateError):
    """A checkpoint's folder holds what Spark would wait for, or follow elsewhere, or takes no files
    of this user.
    """


class LockUnusable(StateError):
    """A file that whoever writes must hold locked cannot be opened."""


def check_regular(folder: Path) -> None:
    """Raise CheckpointUnusable unless a folder holds nothing but regular files and folders."""
    try:
        strange = [f"{name} is {kind}" for name, kind in files.below(folder, FILES).items() if kind]
    except OSError as exc:
        strange = [exc.strerror or str(exc)]
    if strange:
        message = (
            f"The checkpoint {folder} cannot be used: {'; '.join(strange[:5])}. Spark writes "
            f"regular files there, and would wait for anything else. Remove what is not its own."
        )
        raise CheckpointUnusable(message)


@contextmanager
def claimed(spark: SparkSession, folder: Path, wait: Callable[[float], object]) -> Iterator[Path]:
    """The folder, which is made, for this process alone; `wait` sleeps for some seconds.

    Raises CheckpointInUse, CheckpointUnusable and LockUnusable.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    check_regular(folder)
    with locked(spark, lock_of(folder), wait, _PATIENCE_SECONDS) as got:
        if not got:
            message = (
                f"Another process scores with the checkpoint {folder}. Two would answer each "
                f"reading twice. Stop the other one, or choose another --home for this one."
            )
            raise CheckpointInUse(message)
        yield folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise CheckpointUnusable if what the body writes in a checkpoint, or beside it, fails."""
    try:
        yield
    except OSError as exc:
        message = (
            f"The checkpoint {folder} cannot be written: {exc.strerror or exc}. A query notes how "
            f"far it got there, so that it loses nothing. Make room, give the folder to this user, "
            f"or choose another --home."
        )
        raise CheckpointUnusable(message) from exc


@contextmanager
def locked(
    spark: SparkSession,
    file: Path,
    wait: Callable[[float], object],
    seconds: float = _PATIENCE_SECONDS,
) -> Iterator[bool]:
    """Hold the lock of a file, which is made, while the body runs; False if others hold it still
    after these seconds.

    The session's JVM holds it, so that it lasts exactly as long as the one who writes, even where
    this process is killed. Raises LockUnusable.
    """
    try:
        lock = cast(Any, spark._jvm).java.io.RandomAccessFile(str(file.resolve()), "rw")
    except Py4JJavaError as exc:
        message = (
            f"The lock {file} cannot be opened: {exc.java_exception.getMessage()}. Whoever writes "
            f"beside it must hold it. Give it and its folder to this user, or choose another place."
        )
        raise LockUnusable(message) from exc
    try:
        for _ in range(max(1, round(seconds / _PAUSE_SECONDS))):
            if got := _locks(lock):
                break
            wait(_PAUSE_SECONDS)
        yield got
    finally:
        lock.close()


def _locks(file: Any) -> bool:
    """Whether the file could be locked; another session of the same JVM is in the way too."""
    try:
        return file.getChannel().tryLock() is not None
    except Py4JJavaError as error:
        if "OverlappingFileLockException" not in str(error.java_exception):
            raise
        return False
