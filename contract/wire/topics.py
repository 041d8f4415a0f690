"""The seven topics: their names, and the settings with which each is created."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

READING_BYTES = 1 << 20
"""What a batch of readings may weigh on the wire, so also the largest single reading."""

ANSWER_BYTES = 8 * READING_BYTES
"""What a score or dead letter may weigh: any reading of READING_BYTES fits, its headers prefixed,
its key or id escaped in JSON. Only one that arrived compressed can be more; it is `too-large`."""


@dataclass(frozen=True)
class Topics:
    """The names of the topics of one installation."""

    readings: str = "digits.readings"
    labels: str = "digits.labels"
    scores: str = "digits.scores"
    dead_letters: str = "digits.dead-letters"
    progress: str = "digits.progress"
    shadow_scores: str = "digits.shadow-scores"
    replays: str = "digits.replays"

    @classmethod
    def named(cls, prefix: str) -> Topics:
        """All under another prefix: `named("digits")` is the default."""
        answers = ("scores", "dead-letters", "progress", "shadow-scores")
        kinds = ("readings", "labels", *answers, "replays")
        return cls(*(f"{prefix}.{kind}" for kind in kinds))

    @property
    def answered(self) -> tuple[str, str]:
        """The topics of which each record gets an answer."""
        return self.readings, self.replays

    def scored_to(self, topic: str) -> Topics:
        """The same, but that scores go to another topic."""
        return replace(self, scores=topic)

    @property
    def configs(self) -> dict[str, dict[str, str]]:
        """Topic -> the settings with which it is created."""
        large = (self.scores, self.dead_letters, self.shadow_scores, self.replays)
        return {
            topic: topic_configs(ANSWER_BYTES if topic in large else READING_BYTES)
            for topic in astuple(self)
        }


def topic_configs(largest_batch: int) -> dict[str, str]:
    """The settings of a topic whose batches have so many bytes at most.

    Its times are the broker's: by a client's own retention keeps or drops records as the client
    likes, and latencies mean nothing.
    """
    return {"max.message.bytes": str(largest_batch), "message.timestamp.type": "LogAppendTime"}
