"""What stopped the archive, in one sentence."""

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
    """A query of the archive ended by an error that nobody foresaw; its cause is in the message."""


class TablesUnwritable(StateError):
    """The folder of the tables takes no files."""

    retriable = True


class TablesUnreadable(StateError):
    """The tables are out of reach, or are not whole."""


@contextmanager
def reached(address: str) -> Iterator[None]:
    """Raise TablesUnreadable for what Spark has against the tables at an address."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as exc:
        message = (
            f"The tables at {address} cannot be used: {last_cause(str(exc))}. They must be whole, "
            f"and where Hadoop reaches them from here. Check --tables, the --packages that their "
            f"store needs, and who may read there."
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
    """What a user must know of an exception that ended the query from a topic to a folder."""
    text = str(error)
    if isinstance(error, DigitstreamError):
        return error
    if LOST.search(text):
        message = (
            f"Kafka at {kafka} no longer has records of {topic} that were not archived yet: its "
            f"retention removed them, or the topic was made anew. The archive never skips one in "
            f"silence. If they may go, remove {folder}/_checkpoint and start again. Kafka said: "
            f"{last_cause(text)}"
        )
        return RecordsLost(message)
    if refusal := kafka_refusal(text, kafka):
        return refusal
    if NO_BROKER.search(text):
        message = (
            f"Kafka at {kafka} stopped answering while {topic} was archived. Nothing is lost: the "
            f"archive goes on where it stopped. Bring Kafka back and start `digitstream archive` "
            f"again."
        )
        return BrokerUnavailable(message)
    if _UNWRITABLE.search(text):
        message = (
            f"The table {folder} cannot be written ({last_cause(text)}). Nothing is lost: what is "
            f"not in it is in Kafka still. Make room, or give the folder to this user, and start "
            f"`digitstream archive` again: it goes on where it stopped."
        )
        return TablesUnwritable(message)
    message = (
        f"The archive of {topic} stopped at an error of its own, {type(error).__name__}: "
        f"{last_cause(text)}. Nothing is lost: the batch stays open, and `digitstream archive` "
        f"starts with it again."
    )
    return ArchiveStopped(message)
