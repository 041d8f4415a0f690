"""What is known on this machine of a scoring query: how far it is, and which topics it reads."""

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
    """A query by its checkpoint, as far as that is about the topics that are there now."""

    checkpoint: Checkpoint
    ids: AnswerIds
    """By topic the ids that answers to its readings name."""
    recreated: Mapping[str, str]
    """The topics that were deleted and made anew since the query read them, in words."""

    @classmethod
    def read(cls, settings: Scoring, now: TopicIds) -> QueryState:
        """The state of the query of these settings, with topics of the ids `now`; raises
        CheckpointDamaged.
        """
        checkpoint = Checkpoint.read(settings.checkpoint)
        noted = KnownTopics.read(settings.topics_files)
        known = noted.joined(now, checkpoint.planned)
        recreated = noted.changed(now)
        ids = {topic: {known.id_of(topic)} for topic in now}
        if not noted.ids and not checkpoint.planned:
            # Another machine's query: its answers may name the topics' ids, or not yet.
            ids = {topic: {id, None} for topic, id in now.items()}
        return cls(checkpoint, ids, recreated)

    @classmethod
    def of(cls, settings: Scoring) -> QueryState:
        """The same, with the ids that Kafka tells; raises BrokerUnavailable, too."""
        with open_log(settings.kafka) as log:
            return cls.read(
                settings, log.topic_ids((*settings.input_topics, settings.topics.replays))
            )

    def begun(self, topic: str) -> Positions:
        """Where the query began in a topic, as far as that is known."""
        return {} if topic in self.recreated else self.checkpoint.begun.get(topic, {})

    def committed(self, topic: str) -> Positions | None:
        """Up to where the query is done with a topic; None if that is not known."""
        return None if topic in self.recreated else self.checkpoint.committed.get(topic)
