"""Offsets of topics and consumer groups, asked from Kafka."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from kafka import IsolationLevel, KafkaAdminClient, TopicPartition, errors
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.protocol.consumer.offsets import OffsetSpec
from kafka.structs import OffsetAndMetadata

from contract.kafka.clients import arguments, connecting, translate_errors
from contract.kafka.connection import Kafka
from contract.kafka.transactions import Offsets, OpenTransaction, open_transactions
from contract.wire.places import topic_id_of
from contract.wire.values.times import milliseconds

__all__ = ["Log", "Offsets", "open_log"]

_NO_ID = uuid.UUID(int=0)


class Log:
    """Queries about topics and groups; made by `open_log`. Raises kafka-python's own errors."""

    def __init__(self, admin: KafkaAdminClient) -> None:
        self._admin = admin

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str | None]:
        """The ids of existing topics; None from a Kafka version without topic ids."""
        ids = {
            topic["name"]: uuid.UUID(str(topic.get("topic_id") or _NO_ID))
            for topic in self._admin.describe_topics(list(topics))
            if topic["error_code"] == 0
        }
        return {name: topic_id_of(id) if id != _NO_ID else None for name, id in ids.items()}

    def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions; empty if the topic does not exist or is hidden."""
        [description] = self._admin.describe_topics([topic])
        return sorted(partition["partition_index"] for partition in description["partitions"])

    def leader(self, topic: str, partition: int) -> int:
        """The id of the broker that leads a partition, -1 while none does."""
        [description] = self._admin.describe_topics([topic])
        leaders = {part["partition_index"]: part["leader_id"] for part in description["partitions"]}
        return int(leaders.get(partition, -1))

    def first(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """The offset of each partition's oldest stored record."""
        return self._offsets(topics, "EARLIEST")

    def end(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """The offset that each partition's next record will get."""
        return self._offsets(topics, "LATEST")

    def readable(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """The offset before which each partition's records are readable: that of the next record,
        or of the first record of an open transaction.
        """
        return self._offsets(topics, "LATEST", committed=True)

    def open_transactions(self, topics: Iterable[str]) -> list[OpenTransaction]:
        """The open transactions that keep records of these topics from being read."""
        names = list(topics)
        end = self.end(names)
        return open_transactions(self._admin, end, self.readable(names))

    def at(self, end: Offsets, time: datetime) -> dict[str, dict[int, int]]:
        """The offset of each partition's first readable record that Kafka stored at or after a
        time; the offset in `end` if there is none.
        """
        places = {
            TopicPartition(topic, partition): milliseconds(time)
            for topic, partitions in end.items()
            for partition in partitions
        }
        offsets = {topic: dict(partitions) for topic, partitions in end.items()}
        committed = IsolationLevel.READ_COMMITTED
        for place, offset in self._admin.list_partition_offsets(places, committed).items():
            if offset.offset >= 0:
                offsets[place.topic][place.partition] = offset.offset
        return offsets

    def retention_s(self, topics: Sequence[str]) -> float | None:
        """The shortest retention time of these topics, in seconds; None if all keep records
        forever.
        """
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": None})
            for topic in topics
        ]
        answer = self._admin.describe_configs(resources, config_filter=ConfigFilterType.ALL)
        [configs] = answer.values()
        times_ms = [int(config["retention.ms"]["value"]) for config in configs.values()]
        return min((time_ms / 1000 for time_ms in times_ms if time_ms >= 0), default=None)

    def commit(self, group: str, offsets: Offsets) -> None:
        """Set the group's committed offsets, from which its members read on."""
        positions = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for topic, partitions in offsets.items()
            for partition, offset in partitions.items()
        }
        self._admin.alter_group_offsets(group, positions)

    def committed(self, group: str) -> dict[str, dict[int, int]]:
        """The group's committed offsets; empty if there is no such group, or no coordinator yet."""
        offsets: dict[str, dict[int, int]] = {}
        try:
            positions = self._admin.list_group_offsets([group]).get(group, {})
        except (
            errors.CoordinatorLoadInProgressError,
            errors.CoordinatorNotAvailableError,
            errors.NotCoordinatorError,
        ):  # a broker that just started, or has never had a group
            return offsets
        for place, offset in positions.items():
            if offset.offset >= 0:
                offsets.setdefault(place.topic, {})[place.partition] = offset.offset
        return offsets

    def _offsets(
        self, topics: Iterable[str], spec: str, *, committed: bool = False
    ) -> dict[str, dict[int, int]]:
        places = {
            TopicPartition(topic["name"], partition["partition_index"]): OffsetSpec[spec]
            for topic in self._admin.describe_topics(list(topics))
            for partition in topic["partitions"]
        }
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        offsets: dict[str, dict[int, int]] = {}
        for place, offset in self._admin.list_partition_offsets(places, level).items():
            offsets.setdefault(place.topic, {})[place.partition] = offset.offset
        return offsets


@contextmanager
def open_log(kafka: Kafka, patience_ms: int | None = None) -> Iterator[Log]:
    """A Log of a Kafka cluster, closed at the end. Raises BrokerUnavailable if no broker answers,
    at first or in the body. `patience_ms` limits each request; None means kafka-python's default.
    """
    with connecting(kafka):
        timeout = {} if patience_ms is None else {"request_timeout_ms": patience_ms}
        admin = KafkaAdminClient(**arguments(kafka), **timeout)
    try:
        with translate_errors(kafka):
            yield Log(admin)
    finally:
        admin.close()
