"""Which topics a query reads: one that was deleted and made anew has another id in Kafka.

Offsets of both are the same numbers, so a query must not go on in the new one as if it were the old
one, and their readings must not have the same ids.
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


# A line for each topic.
_LARGEST_NOTE = 1 << 20
# What goes wrong where a file holds something else.
_NO_NOTE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class TopicRecreated(BrokerError):
    """A topic was deleted and made anew since the query last read it."""

    @classmethod
    def of(cls, changed: Mapping[str, str]) -> TopicRecreated:
        """The error of a scoring query, for the topics that have `changed`."""
        return cls(
            f"A topic was deleted and made anew: {'; '.join(changed.values())}. Its offsets say "
            f"nothing of the readings that are there now, and what was not answered before is "
            f"gone. Start `digitstream score` once with --skip-lost to answer the new topic from "
            f"its beginning."
        )


@dataclass(frozen=True)
class KnownTopics:
    """The topics that a query reads, as they were when it first read them.

    `plain` are those whose readings' ids do not name the topic's id: the query answered some of
    them before ids did so, and a reading keeps its id.
    """

    ids: TopicIds
    plain: frozenset[str] = frozenset()

    @classmethod
    def read(cls, notes: Sequence[Path]) -> KnownTopics:
        """What is noted in the first of the files that is whole; nothing if there is none of them.

        Raises CheckpointDamaged if none of those that are there is whole.
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
                    f"Restore it, or a copy of it: {' and '.join(map(str, notes))} are to be the "
                    f"same. Without it nobody knows the ids of the answers that were given."
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
        """Note the topics in each of the files, all at once."""
        noted = {topic: {"id": id, "plain": topic in self.plain} for topic, id in self.ids.items()}
        for file in notes:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f"{file.name}.new")
            draft.write_text(json.dumps(noted, indent=1), "utf-8")
            os.replace(draft, file)

    def joined(self, now: TopicIds, begun: Collection[str]) -> KnownTopics:
        """The topics as they are `now`. What was plain stays so while it is the same topic; where
        nothing was known, the topics are plain that the query has `begun` to read.
        """
        plain = {topic for topic, id in self.ids.items() if topic in self.plain or id is None}
        if not self.ids:
            plain = {*begun}
        return KnownTopics(now, frozenset(plain & now.keys() - self.changed(now).keys()))

    def changed(self, now: TopicIds) -> dict[str, str]:
        """The topics that are others `now`, each with words that say so."""
        return {
            topic: f"{topic} had the id {self.ids[topic]} and has the id {id}"
            for topic, id in now.items()
            if id is not None and self.ids.get(topic) not in (None, id)
        }

    def id_of(self, topic: str) -> str | None:
        """The topic's id, if the ids of its readings name it."""
        return None if topic in self.plain else self.ids.get(topic)

    def label(self, topic: str) -> str:
        """The topic as the ids of its readings name it."""
        return topic_label(topic, self.id_of(topic))


def _id(value: object) -> str | None:
    """A topic's id as it was noted; raises ValueError for what is none."""
    if value is None or (isinstance(value, str) and TOPIC_ID.fullmatch(value)):
        return value
    message = f"{str(value)[:40]!r} is no topic's id"
    raise ValueError(message)


def _flag(value: object) -> bool:
    """A flag as it was noted; raises ValueError for what is none."""
    if isinstance(value, bool):
        return value
    message = f"{str(value)[:40]!r} is neither true nor false"
    raise ValueError(message)
