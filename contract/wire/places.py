"""A record's place in Kafka, and the id that names it."""

from __future__ import annotations

import base64
import re
import uuid
from functools import lru_cache
from typing import NamedTuple, Self

TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""Valid names of topics."""

TOPIC_ID = re.compile(r"[a-zA-Z0-9_-]{22}")
"""A topic's id as Kafka's tools print it."""

LABEL = re.compile(r"[a-zA-Z0-9._-]{1,275}")
"""A topic's label in ids: its name, perhaps followed by `.id-` and its id."""

MOST_PARTITION, MOST_OFFSET = 10**9 - 1, 10**18 - 1
"""The largest numbers in a place, the largest of 9 and 18 digits. Kafka's own limits, of 31 and 63
bits, are a little higher."""

_WITH_ID = re.compile(rf"(?P<topic>.+)\.id-(?P<topic_id>{TOPIC_ID.pattern})")
# Each number has only one spelling.
_PLACE = re.compile(rf"({LABEL.pattern})/(0|[1-9][0-9]{{0,8}})/(0|[1-9][0-9]{{0,17}})")


class Source(NamedTuple):
    """The place of a reading in Kafka.

    A topic that is deleted and created again gets a new `topic_id`, in the spelling of Kafka's
    tools. None stands for a topic whose id is not used: of a Kafka without topic ids, or of an
    installation that is older than their use.
    """

    topic: str
    partition: int
    offset: int
    topic_id: str | None = None

    @property
    def id(self) -> str:
        """The ce_id of the answer to the reading: `topic/partition/offset`, where the topic's name
        may be followed by `.id-` and its id.
        """
        return f"{topic_label(self.topic, self.topic_id)}/{self.partition}/{self.offset}"

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset

    @classmethod
    def of(cls, id: str) -> Self:
        """The place that an id names; raises ValueError if the text is not an id."""
        match = _PLACE.fullmatch(id)
        if match is None:
            message = f"{id[:40]!r} is not topic/partition/offset"
            raise ValueError(message)
        topic, topic_id = parse_topic_label(match[1])
        return cls(topic, int(match[2]), int(match[3]), topic_id)


@lru_cache(maxsize=64)
def parse_topic_label(label: str) -> tuple[str, str | None]:
    """The topic's name and id in a label; the id is None if there is none."""
    match = _WITH_ID.fullmatch(label)
    return (label, None) if match is None else (match["topic"], match["topic_id"])


def topic_label(topic: str, topic_id: str | None) -> str:
    """The label of a topic in ids."""
    return topic if topic_id is None else f"{topic}.id-{topic_id}"


def topic_id_of(id: uuid.UUID) -> str:
    """A topic's id as Kafka's tools print it: 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(id.bytes).decode().rstrip("=")


def uuid_of(topic_id: str) -> uuid.UUID:
    """The UUID of a topic's id as Kafka's tools print it."""
    return uuid.UUID(bytes=base64.urlsafe_b64decode(f"{topic_id}=="))
