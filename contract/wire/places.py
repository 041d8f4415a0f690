"""Where a record lies in Kafka, and the text that names the place."""

from __future__ import annotations

import base64
import re
import uuid
from functools import lru_cache
from typing import NamedTuple, Self

TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""What Kafka takes for the name of a topic."""

TOPIC_ID = re.compile(r"[a-zA-Z0-9_-]{22}")
"""A topic's id as Kafka's own tools print it."""

LABEL = re.compile(r"[a-zA-Z0-9._-]{1,275}")
"""A topic as ids name it: its name, which may be followed by `.id-` and its id."""

MOST_PARTITION, MOST_OFFSET = 10**9 - 1, 10**18 - 1
"""The largest numbers that a place has; Kafka's own bounds, of 31 and 63 bits, are a little higher.
As decimals, which ids and headers have, any of 9 and 18 digits are within both."""

_WITH_ID = re.compile(rf"(?P<topic>.+)\.id-(?P<topic_id>{TOPIC_ID.pattern})")
# One spelling for each number.
_PLACE = re.compile(rf"({LABEL.pattern})/(0|[1-9][0-9]{{0,8}})/(0|[1-9][0-9]{{0,17}})")


class Source(NamedTuple):
    """Where a reading lies in Kafka.

    A topic that is deleted and made anew has another `topic_id`, as Kafka's own tools print it.
    None is a topic whose id does not matter: one of a Kafka without ids, or of an installation that
    was there before ids told topics apart.
    """

    topic: str
    partition: int
    offset: int
    topic_id: str | None = None

    @property
    def id(self) -> str:
        """The deterministic ce_id of the answer to the reading: `topic/partition/offset`, where
        the topic's name may be followed by `.id-` and its id.
        """
        return f"{labelled(self.topic, self.topic_id)}/{self.partition}/{self.offset}"

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset

    @classmethod
    def of(cls, id: str) -> Self:
        """The place that an id names; raises ValueError for any text that `id` never gives."""
        match = _PLACE.fullmatch(id)
        if match is None:
            message = f"{id[:40]!r} is not topic/partition/offset"
            raise ValueError(message)
        topic, topic_id = topic_of(match[1])
        return cls(topic, int(match[2]), int(match[3]), topic_id)


@lru_cache(maxsize=64)
def topic_of(label: str) -> tuple[str, str | None]:
    """The topic that ids name so, and its id if they name one."""
    match = _WITH_ID.fullmatch(label)
    return (label, None) if match is None else (match["topic"], match["topic_id"])


def labelled(topic: str, topic_id: str | None) -> str:
    """A topic as ids name it."""
    return topic if topic_id is None else f"{topic}.id-{topic_id}"


def topic_id_of(id: uuid.UUID) -> str:
    """A topic's id as Kafka's own tools print it: 22 letters of base64 for URLs."""
    return base64.urlsafe_b64encode(id.bytes).decode().rstrip("=")


def uuid_of(topic_id: str) -> uuid.UUID:
    """The id that Kafka's tools print so."""
    return uuid.UUID(bytes=base64.urlsafe_b64decode(f"{topic_id}=="))
