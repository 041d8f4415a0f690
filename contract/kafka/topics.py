"""Topics on a broker: created, checked, and the commands that create them by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError, for_code

from contract.errors import TopicMissing
from contract.kafka.clients import arguments, denied, reaching
from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES, Topics, topic_configs

_HIDDEN = 29
"""Kafka's TOPIC_AUTHORIZATION_FAILED: whether there is such a topic is not ours to know."""

Descriptions = Mapping[str, Mapping[str, Any]]
"""Topic -> what Kafka's DescribeTopics answers about it."""


def ensure(
    kafka: Kafka,
    topics: Topics,
    *,
    partitions: int = 2,
    create: bool = True,
    needs: Mapping[str, str] | None = None,
) -> None:
    """Return when all exist, having created those that did not; what is there stays as it is.

    `needs` says what a program must be allowed on each topic that it uses ("READ", "WRITE"); the
    others are then left alone where it may not see them. Raises TopicMissing with the commands to
    run if one is missing and `create` is off or the broker forbids it, AccessDenied with all rights
    that lack, and BrokerUnavailable if nobody answers.
    """
    with _administering(kafka) as admin:
        descriptions = _describe(admin, astuple(topics))
        denials = _denials(descriptions, needs or dict.fromkeys(astuple(topics), "DESCRIBE"))
        if denials:
            raise denied(kafka, f"it may not {' or '.join(denials)}")
        missing = _missing(descriptions, topics)
        refusals = _create(admin, missing, partitions) if create else dict.fromkeys(missing, "")
    if refusals:
        raise TopicMissing(_remedy(kafka, missing, refusals, partitions))


def ensure_scores_topic(kafka: Kafka, topic: str, partitions: int) -> None:
    """Return when there is such a topic for scores, having created it if there was none.

    Raises TopicMissing with the command to run if the broker forbids it.
    """
    missing = {topic: topic_configs(ANSWER_BYTES)}
    with _administering(kafka) as admin:
        exists = not _describe(admin, [topic])[topic]["error_code"]
        refusals = {} if exists else _create(admin, missing, partitions)
    if refusals:
        raise TopicMissing(_remedy(kafka, missing, refusals, partitions))


def check_topics_exist(kafka: Kafka, topics: Sequence[str]) -> None:
    """Raise TopicMissing that names those of the topics that do not exist."""
    with _administering(kafka) as admin:
        descriptions = _describe(admin, topics)
    missing = [topic for topic, answer in descriptions.items() if answer["error_code"]]
    if missing:
        message = (
            f"Kafka at {kafka} has no topic {', '.join(missing)}. A topic to read must be there. "
            f"Create it, or mend its name."
        )
        raise TopicMissing(message)


def is_hidden(kafka: Kafka, topic: str) -> bool:
    """Whether Kafka does not let us know of a topic, be it there or not."""
    with _administering(kafka) as admin:
        return bool(_describe(admin, [topic])[topic]["error_code"] == _HIDDEN)


@contextmanager
def _administering(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    """An admin client for as long as the block runs."""
    with reaching(kafka):
        admin = KafkaAdminClient(**arguments(kafka))
        try:
            yield admin
        finally:
            admin.close()


def _describe(admin: KafkaAdminClient, topics: Sequence[str]) -> Descriptions:
    return {answer["name"]: answer for answer in admin.describe_topics(list(topics))}


def _denials(descriptions: Descriptions, needs: Mapping[str, str]) -> list[str]:
    """The rights that we need and do not have; a topic that is not there is another matter."""
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
    """Create the topics; returns those that the broker refused with its reason."""
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
        f"{f' ({reason})' if reason else ''}. All topics must be there. Create them with:"
        f"\n{commands}"
    )
