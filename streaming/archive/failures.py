"""The errors that stop the archive, with a sentence for users."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from contract.errors import (
    BrokerUnavailable,
    DigitstreamError,
    ProgramError,
    RecordsLost,
    StateError,
)
from contract.kafka.connection import Kafka
from streaming.spark.failures import LOST, NO_BROKER, kafka_refusal, last_cause


class ArchiveStopped(ProgramError):
    """A query of the archive ended with an unexpected error; the message names its cause."""


class TablesUnwritable(StateError):
    """The folder of the tables cannot be written."""

    retriable = True


class TablesUnreadable(StateError):
    """The tables cannot be reached, or are damaged."""


@contextmanager
def reached(address: str) -> Iterator[None]:
    """Raise TablesUnreadable for Spark's errors about the tables at an address."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as exc:
        message = (
            f"The tables at {address} cannot be used: {last_cause(str(exc))}. They must be intact, "
            f"and Hadoop must reach them from here. Check --tables, the --packages that their "
            f"storage needs, and your permission to read them."
        )
        raise TablesUnreadable(message) from exc


_UNWRITABLE = re.compile(
    r"Permission denied|AccessControlException|AccessDenied|Read-only file system|No space left"
    r"|Disk quota exceeded|Mkdirs failed|mkdirs? failed|Not a directory|ParentNotDirectory"
    r"|FileAlreadyExistsException|Is a directory|cannot be created|Cannot create",
    re.IGNORECASE,
)


def archive_failure(
    error: BaseException, kafka: Kafka, topic: str, folder: str
) -> DigitstreamError:
    """The error to raise for an exception that ended the query from a topic to a folder."""
    text = str(error)
    if isinstance(error, DigitstreamError):
        return error
    if LOST.search(text):
        message = (
            f"Kafka at {kafka} no longer has records of {topic} that were not archived yet: its "
            f"retention removed them, or the topic was recreated. The archive never skips records "
            f"silently. To continue without them, remove {folder}/_checkpoint and start again. "
            f"Kafka reports: {last_cause(text)}"
        )
        return RecordsLost(message)
    if refusal := kafka_refusal(text, kafka):
        return refusal
    if NO_BROKER.search(text):
        message = (
            f"Kafka at {kafka} stopped answering while {topic} was archived. Nothing is lost: the "
            f"archive continues where it stopped. Restart Kafka, then start `digitstream archive` "
            f"again."
        )
        return BrokerUnavailable(message)
    if _UNWRITABLE.search(text):
        message = (
            f"The table {folder} cannot be written ({last_cause(text)}). Nothing is lost: Kafka "
            f"still has what the table lacks. Free disk space, or let this user write to the "
            f"folder, then start `digitstream archive` again: it continues where it stopped."
        )
        return TablesUnwritable(message)
    message = (
        f"The archive of {topic} stopped with an unexpected {type(error).__name__}: "
        f"{last_cause(text)}. Nothing is lost: the batch is not committed, and `digitstream "
        f"archive` starts with it again."
    )
    return ArchiveStopped(message)
