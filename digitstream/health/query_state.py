"""The state of a scoring query on this machine: its offsets, and the topics that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.home.checkpoint import Checkpoint, Positions
from contract.kafka.offsets import open_log
from contract.settings.programs import Scoring
from digitstream.accounts.topics import AnswerIds
from streaming.spark.topic_ids import KnownTopics, TopicIds


@dataclass(frozen=True)
class QueryState:
    """A query's checkpoint, with what is known of the topics in it."""

    checkpoint: Checkpoint
    ids: AnswerIds
    """By topic the topic ids in the answers to its readings."""
    recreated: Mapping[str, str]
    """The topics that were deleted and recreated since the query read them, each in words."""

    @classmethod
    def read(cls, settings: Scoring, now: TopicIds) -> QueryState:
        """Read the state of the query of these settings; `now` are the topics' current ids.

        Raises CheckpointDamaged.
        """
        checkpoint = Checkpoint.read(settings.checkpoint)
        noted = KnownTopics.read(settings.topics_files)
        topics = noted.joined(now, checkpoint.planned)
        recreated = noted.changed(now)
        ids = {topic: {topics.id_of(topic)} for topic in now}
        if not noted.ids and not checkpoint.planned:
            # A query on another machine: its answers may or may not name the topics' ids.
            ids = {topic: {id, None} for topic, id in now.items()}
        return cls(checkpoint, ids, recreated)

    @classmethod
    def of(cls, settings: Scoring) -> QueryState:
        """Read the state with the topic ids from Kafka; also raises BrokerUnavailable."""
        with open_log(settings.kafka) as log:
            return cls.read(
                settings, log.topic_ids((*settings.input_topics, settings.topics.replays))
            )

    def begun(self, topic: str) -> Positions:
        """The offsets at which the query began in a topic, as far as they are known."""
        return {} if topic in self.recreated else self.checkpoint.begun.get(topic, {})

    def committed(self, topic: str) -> Positions | None:
        """The offsets up to which the query has answered a topic; None if they are not known."""
        return None if topic in self.recreated else self.checkpoint.committed.get(topic)
