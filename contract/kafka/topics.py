"""Creates and checks topics on a broker; has the commands to create them by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError, for_code

from contract.errors import TopicMissing
from contract.kafka.clients import access_denied, arguments, connecting
from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES, Topics, topic_configs

_HIDDEN = 29
"""Kafka's TOPIC_AUTHORIZATION_FAILED: we may not know whether the topic exists."""

Descriptions = Mapping[str, Mapping[str, Any]]
"""Topic -> Kafka's DescribeTopics response for it."""


def ensure(
    kafka: Kafka,
    topics: Topics,
    *,
    partitions: int = 2,
    create: bool = True,
    needs: Mapping[str, str] | None = None,
) -> None:
    """Create those of the topics that do not exist; existing topics are not changed.

    `needs` maps each topic that the program uses to the right it needs ("READ", "WRITE"); other
    topics may then be hidden from it. Raises TopicMissing with the commands to run if a topic is
    missing and `create` is off or the broker refuses, AccessDenied with all missing rights, and
    BrokerUnavailable if no broker answers.
    """
    with _administering(kafka) as admin:
        descriptions = _describe(admin, astuple(topics))
        denials = _denials(descriptions, needs or dict.fromkeys(astuple(topics), "DESCRIBE"))
        if denials:
            raise access_denied(kafka, f"it may not {' or '.join(denials)}")
        missing = _missing(descriptions, topics)
        refusals = _create(admin, missing, partitions) if create else dict.fromkeys(missing, "")
    if refusals:
        raise TopicMissing(_remedy(kafka, missing, refusals, partitions))


def ensure_scores_topic(kafka: Kafka, topic: str, partitions: int) -> None:
    """Create a topic for scores if it does not exist.

    Raises TopicMissing with the command to run if the broker refuses.
    """
    missing = {topic: topic_configs(ANSWER_BYTES)}
    with _administering(kafka) as admin:
        exists = not _describe(admin, [topic])[topic]["error_code"]
        refusals = {} if exists else _create(admin, missing, partitions)
    if refusals:
        raise TopicMissing(_remedy(kafka, missing, refusals, partitions))


def check_topics_exist(kafka: Kafka, topics: Sequence[str]) -> None:
    """Raise TopicMissing with those of the topics that do not exist."""
    with _administering(kafka) as admin:
        descriptions = _describe(admin, topics)
    missing = [topic for topic, answer in descriptions.items() if answer["error_code"]]
    if missing:
        message = (
            f"Kafka at {kafka} has no topic {', '.join(missing)}. A topic to read must exist. "
            f"Create it, or correct its name."
        )
        raise TopicMissing(message)


def is_hidden(kafka: Kafka, topic: str) -> bool:
    """Whether Kafka hides a topic from us, whether or not it exists."""
    with _administering(kafka) as admin:
        return bool(_describe(admin, [topic])[topic]["error_code"] == _HIDDEN)


@contextmanager
def _administering(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    """An admin client, closed at the end."""
    with connecting(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            yield admin
        finally:
            admin.close()


def _describe(admin: KafkaAdminClient, topics: Sequence[str]) -> Descriptions:
    return {answer["name"]: answer for answer in admin.describe_topics(list(topics))}


def _denials(descriptions: Descriptions, needs: Mapping[str, str]) -> list[str]:
    """The rights that we need but do not have, on topics that are hidden or exist."""
    return [
        f"{operation} {topic}"
        for topic, operation in needs.items()
        for answer in (descriptions.get(topic, {}),)
        if answer.get("error_code") == _HIDDEN
        or (
            answer.get("error_code") == 0
            and operation not in (answer["authorized_operations"] or ())
        )
    ]


def _missing(descriptions: Descriptions, topics: Topics) -> dict[str, dict[str, str]]:
    codes = {topic: answer["error_code"] for topic, answer in descriptions.items()}
    return {
        topic: configs
        for topic, configs in topics.configs.items()
        if codes.get(topic) not in (0, _HIDDEN)
    }


def _create(
    admin: KafkaAdminClient, missing: Mapping[str, dict[str, str]], partitions: int
) -> dict[str, str]:
    """Create the topics; returns those that the broker refused, with its reasons."""
    if not missing:
        return {}
    request = {
        topic: {"num_partitions": partitions, "configs": configs}
        for topic, configs in missing.items()
    }
    answers = admin.create_topics(request, raise_errors=False)["topics"]
    refusals = {
        answer["name"]: answer.get("error_message") or for_code(answer["error_code"]).__name__
        for answer in answers
        if answer["error_code"] not in (0, TopicAlreadyExistsError.errno)
    }
    admin.wait_for_topics([topic for topic in missing if topic not in refusals])
    return refusals


def _remedy(
    kafka: Kafka,
    missing: Mapping[str, dict[str, str]],
    refusals: Mapping[str, str],
    partitions: int,
) -> str:
    reason = next(iter(refusals.values())).rstrip(".")
    commands = "\n".join(
        f"  kafka-topics.sh --bootstrap-server {kafka} --create --topic {topic} "
        f"--partitions {partitions}"
        + "".join(f" --config {name}={value}" for name, value in missing[topic].items())
        for topic in refusals
    )
    return (
        f"Kafka at {kafka} has no topic {', '.join(refusals)}, and it may not be created"
        f"{f' ({reason})' if reason else ''}. All topics must exist. Create them with:"
        f"\n{commands}"
    )
