"""The seven topics: their names, their limits, and that they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

from contract.errors import TopicMissing

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

    from contract.connection import Kafka

READING_BYTES = 1 << 20
"""What a batch of readings may weigh on the wire, so also the largest single reading."""

ANSWER_BYTES = 8 * READING_BYTES
"""What a score or dead letter may weigh: any reading of READING_BYTES fits, its headers prefixed,
its key or id escaped in JSON. Only one that arrived compressed can be more; it is `too-large`."""


_HIDDEN = 29
"""Kafka's TOPIC_AUTHORIZATION_FAILED: whether there is such a topic is not ours to know."""


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
            topic: _configs(ANSWER_BYTES if topic in large else READING_BYTES)
            for topic in astuple(self)
        }


def _configs(most: int) -> dict[str, str]:
    """The settings of a topic whose batches have so many bytes at most.

    Its times are the broker's: by a client's own retention keeps or drops records as the client
    likes, and latencies mean nothing.
    """
    return {"max.message.bytes": str(most), "message.timestamp.type": "LogAppendTime"}


def ensure(
    kafka: Kafka,
    topics: Topics,
    *,
    partitions: int = 2,
    create: bool = True,
    needs: Mapping[str, str] | None = None,
) -> None:
    """Return when all exist, having made those that did not; what is there stays as it is.

    `needs` says what a program must be allowed on each topic that it uses ("READ", "WRITE"); the
    others are then left alone where it may not see them. Raises TopicMissing with the commands to
    run if one is missing and `create` is off or the broker forbids it, AccessDenied with all rights
    that lack, and BrokerUnavailable if nobody answers.
    """
    # Spark's workers know topics by name and have no Kafka client to load.
    from kafka import KafkaAdminClient  # noqa: PLC0415

    from contract.clients import arguments, denied, reaching  # noqa: PLC0415

    with reaching(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            found = {each["name"]: each for each in admin.describe_topics(astuple(topics))}
            lacking = _lacking(found, needs or dict.fromkeys(astuple(topics), "DESCRIBE"))
            if lacking:
                raise denied(kafka, f"it may not {' or '.join(lacking)}")
            missing = _missing(found, topics)
            refused = _create(admin, missing, partitions) if create else dict.fromkeys(missing, "")
        finally:
            admin.close()
    if refused:
        raise TopicMissing(_remedy(kafka, missing, refused, partitions))


def make(kafka: Kafka, topic: str, partitions: int) -> None:
    """Return when there is such a topic for scores, having made it if there was none.

    Raises TopicMissing with the command to run if the broker forbids it.
    """
    from kafka import KafkaAdminClient  # noqa: PLC0415

    from contract.clients import arguments, reaching  # noqa: PLC0415

    wanted = {topic: _configs(ANSWER_BYTES)}
    with reaching(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            missing = any(each["error_code"] for each in admin.describe_topics([topic]))
            refused = _create(admin, wanted, partitions) if missing else {}
        finally:
            admin.close()
    if refused:
        raise TopicMissing(_remedy(kafka, wanted, refused, partitions))


def there(kafka: Kafka, topics: Sequence[str]) -> None:
    """Raise TopicMissing that names those of the topics that do not exist."""
    missing = [topic for topic, each in _described(kafka, topics).items() if each["error_code"]]
    if missing:
        message = (
            f"Kafka at {kafka} has no topic {', '.join(missing)}. A topic to read must be there. "
            f"Create it, or mend its name."
        )
        raise TopicMissing(message)


def hidden(kafka: Kafka, topic: str) -> bool:
    """Whether Kafka does not let us know of a topic, be it there or not."""
    return any(each["error_code"] == _HIDDEN for each in _described(kafka, [topic]).values())


def _described(kafka: Kafka, topics: Sequence[str]) -> dict[str, Any]:
    """What Kafka says of each topic."""
    from kafka import KafkaAdminClient  # noqa: PLC0415

    from contract.clients import arguments, reaching  # noqa: PLC0415

    with reaching(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            return {each["name"]: each for each in admin.describe_topics(list(topics))}
        finally:
            admin.close()


def _lacking(found: Mapping[str, Mapping[str, Any]], needs: Mapping[str, str]) -> list[str]:
    """The rights that we need and do not have; a topic that is not there is another matter."""
    return [
        f"{operation} {topic}"
        for topic, operation in needs.items()
        for said in (found.get(topic, {}),)
        if said.get("error_code") == _HIDDEN
        or (said.get("error_code") == 0 and operation not in (said["authorized_operations"] or ()))
    ]


def _missing(found: Mapping[str, Mapping[str, Any]], topics: Topics) -> dict[str, dict[str, str]]:
    codes = {topic: said["error_code"] for topic, said in found.items()}
    return {
        topic: configs
        for topic, configs in topics.configs.items()
        if codes.get(topic) not in (0, _HIDDEN)
    }


def _create(
    admin: KafkaAdminClient, missing: dict[str, dict[str, str]], partitions: int
) -> dict[str, str]:
    """Make the topics; returns those that the broker refused with its reason."""
    if not missing:
        return {}
    from kafka.errors import TopicAlreadyExistsError, for_code  # noqa: PLC0415

    asked = {
        topic: {"num_partitions": partitions, "configs": configs}
        for topic, configs in missing.items()
    }
    answer = admin.create_topics(asked, raise_errors=False)["topics"]
    exists = TopicAlreadyExistsError.errno
    refused = {
        topic["name"]: topic.get("error_message") or for_code(topic["error_code"]).__name__
        for topic in answer
        if topic["error_code"] not in (0, exists)
    }
    admin.wait_for_topics([topic for topic in missing if topic not in refused])
    return refused


def _remedy(
    kafka: Kafka,
    missing: dict[str, dict[str, str]],
    refused: dict[str, str],
    partitions: int,
) -> str:
    reason = next(iter(refused.values())).rstrip(".")
    commands = "\n".join(
        f"  kafka-topics.sh --bootstrap-server {kafka} --create --topic {topic} "
        f"--partitions {partitions}"
        + "".join(f" --config {name}={value}" for name, value in missing[topic].items())
        for topic in refused
    )
    return (
        f"Kafka at {kafka} has no topic {', '.join(refused)}, and it may not be created"
        f"{f' ({reason})' if reason else ''}. All topics must be there. Create them with:"
        f"\n{commands}"
    )
