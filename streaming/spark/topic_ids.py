"""The ids of the topics that a query reads: a topic that was deleted and recreated has a new id.

Both have the same offsets, so a query must not continue in the new topic as if it were the old one,
and their readings must not have the same ids.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract import files
from contract.errors import BrokerError
from contract.home.checkpoint import CheckpointDamaged
from contract.wire.places import TOPIC_ID, topic_label

TopicIds = Mapping[str, str | None]
"""Topic -> the id that Kafka gave it; None from a Kafka without ids."""


# Bytes of the file at most: it has a line for each topic.
_LARGEST_NOTE = 1 << 20
# What reading a damaged file raises.
_NO_NOTE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class TopicRecreated(BrokerError):
    """A topic was deleted and recreated since the query last read it."""

    @classmethod
    def of(cls, changed: Mapping[str, str]) -> TopicRecreated:
        """The error of a scoring query for the topics that have `changed`."""
        return cls(
            f"A topic was deleted and recreated: {'; '.join(changed.values())}. The query's "
            f"offsets do not apply to the new topic, and readings without an answer are lost. "
            f"Start `digitstream score` once with --skip-lost to answer the new topic from its "
            f"beginning."
        )


@dataclass(frozen=True)
class KnownTopics:
    """The topics that a query reads, with their ids when it first read them.

    `plain` are topics whose readings' ids do not contain the topic's id: the query answered some of
    their readings before it knew topic ids, and a reading keeps its id.
    """

    ids: TopicIds
    plain: frozenset[str] = frozenset()

    @classmethod
    def read(cls, notes: Sequence[Path]) -> KnownTopics:
        """The topics in the first intact file; none if no file exists.

        Raises CheckpointDamaged if files exist, but none is intact.
        """
        damage: CheckpointDamaged | None = None
        for file in notes:
            try:
                return cls._of(file)
            except FileNotFoundError:
                continue
            except _NO_NOTE as exc:
                fact = "it does not say which topics the query has read"
                remedy = (
                    f"Restore it from a copy: {' and '.join(map(str, notes))} have the same "
                    f"content. Without it the ids of earlier answers are unknown."
                )
                damage = CheckpointDamaged(file, fact, remedy)
                damage.__cause__ = exc
        if damage is not None:
            raise damage
        return cls({})

    @classmethod
    def _of(cls, file: Path) -> KnownTopics:
        noted = json.loads(files.read_text(file, _LARGEST_NOTE))
        ids = {topic: _id(note["id"]) for topic, note in noted.items()}
        return cls(ids, frozenset(topic for topic, note in noted.items() if _flag(note["plain"])))

    def write(self, notes: Sequence[Path]) -> None:
        """Write the topics to each of the files; each is replaced atomically."""
        noted = {topic: {"id": id, "plain": topic in self.plain} for topic, id in self.ids.items()}
        for file in notes:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f"{file.name}.new")
            draft.write_text(json.dumps(noted, indent=1), "utf-8")
            os.replace(draft, file)

    def joined(self, now: TopicIds, begun: Collection[str]) -> KnownTopics:
        """The topics with their ids `now`. A plain topic stays plain while its id is the same; if
        no topic was known, those that the query has `begun` to read are plain.
        """
        plain = {topic for topic, id in self.ids.items() if topic in self.plain or id is None}
        if not self.ids:
            plain = {*begun}
        return KnownTopics(now, frozenset(plain & now.keys() - self.changed(now).keys()))

    def changed(self, now: TopicIds) -> dict[str, str]:
        """The topics that have another id `now`, each with a description of the change."""
        return {
            topic: f"{topic} had the id {self.ids[topic]} and has the id {id}"
            for topic, id in now.items()
            if id is not None and self.ids.get(topic) not in (None, id)
        }

    def id_of(self, topic: str) -> str | None:
        """The topic's id, if the ids of its readings contain it."""
        return None if topic in self.plain else self.ids.get(topic)

    def label(self, topic: str) -> str:
        """The topic's part of its readings' ids."""
        return topic_label(topic, self.id_of(topic))


def _id(value: object) -> str | None:
    """A topic's id from the file; raises ValueError for anything else."""
    if value is None or (isinstance(value, str) and TOPIC_ID.fullmatch(value)):
        return value
    message = f"{str(value)[:40]!r} is not a topic id"
    raise ValueError(message)


def _flag(value: object) -> bool:
    """A flag from the file; raises ValueError for anything else."""
    if isinstance(value, bool):
        return value
    message = f"{str(value)[:40]!r} is neither true nor false"
    raise ValueError(message)
