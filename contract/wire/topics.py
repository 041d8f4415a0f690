"""The seven topics: their names, and the settings of new ones."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

READING_BYTES = 1 << 20
"""Largest batch of readings on the wire, and so the largest reading, in bytes."""

ANSWER_BYTES = 8 * READING_BYTES
"""Largest score or dead letter, in bytes. A reading of READING_BYTES fits, its headers prefixed and
its key or id escaped in JSON. Only one that came compressed can be larger; it is `too-large`."""


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
        """All names with another prefix; `named("digits")` is the default."""
        answers = ("scores", "dead-letters", "progress", "shadow-scores")
        kinds = ("readings", "labels", *answers, "replays")
        return cls(*(f"{prefix}.{kind}" for kind in kinds))

    @property
    def answered(self) -> tuple[str, str]:
        """The topics whose records are all answered."""
        return self.readings, self.replays

    def scored_to(self, topic: str) -> Topics:
        """The same topics, but with scores on another one."""
        return replace(self, scores=topic)

    @property
    def configs(self) -> dict[str, dict[str, str]]:
        """Topic -> its settings at creation."""
        large = (self.scores, self.dead_letters, self.shadow_scores, self.replays)
        return {
            topic: topic_configs(ANSWER_BYTES if topic in large else READING_BYTES)
            for topic in astuple(self)
        }


def topic_configs(largest_batch: int) -> dict[str, str]:
    """The settings of a topic whose batches have at most so many bytes.

    Timestamps are the broker's: with a client's own, clients would control the retention, and
    latencies would mean nothing.
    """
    return {"max.message.bytes": str(largest_batch), "message.timestamp.type": "LogAppendTime"}
