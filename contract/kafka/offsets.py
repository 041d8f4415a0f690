"""What Kafka itself knows of topics and groups: where they begin and end, who has read how far."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from kafka import IsolationLevel, KafkaAdminClient, TopicPartition, errors
from kafka.admin import ConfigFilterType, ConfigResource, ConfigResourceType
from kafka.protocol.consumer.offsets import OffsetSpec
from kafka.structs import OffsetAndMetadata

from contract.kafka.clients import arguments, reaching, served
from contract.kafka.connection import Kafka
from contract.kafka.transactions import Offsets, OpenTransaction, open_transactions
from contract.wire.places import topic_id_of
from contract.wire.values.times import milliseconds

__all__ = ["Log", "Offsets", "looking"]

_NO_ID = uuid.UUID(int=0)


class Log:
    """Topics of one Kafka, seen from above; make it with `looking`. Raises kafka's own errors."""

    def __init__(self, admin: KafkaAdminClient) -> None:
        self._admin = admin

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str | None]:
        """The id that Kafka gave each topic when it was made, None from a Kafka without ids."""
        ids = {
            topic["name"]: uuid.UUID(str(topic.get("topic_id") or _NO_ID))
            for topic in self._admin.describe_topics(list(topics))
            if topic["error_code"] == 0
        }
        return {name: topic_id_of(id) if id != _NO_ID else None for name, id in ids.items()}

    def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions; none if there is no such topic, or it is hidden."""
        [described] = self._admin.describe_topics([topic])
        return sorted(partition["partition_index"] for partition in described["partitions"])

    def leader(self, topic: str, partition: int) -> int:
        """The number of the broker that leads a partition, -1 while none does."""
        [described] = self._admin.describe_topics([topic])
        leaders = {part["partition_index"]: part["leader_id"] for part in described["partitions"]}
        return int(leaders.get(partition, -1))

    def first(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """The offset of each partition's oldest record that is still there."""
        return self._offsets(topics, "EARLIEST")

    def end(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """The offset that each partition's next record will get."""
        return self._offsets(topics, "LATEST")

    def readable(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """The offset up to which each partition can be read: that of its next record, or of the
        first record of a transaction that is still open.
        """
        return self._offsets(topics, "LATEST", committed=True)

    def open_transactions(self, topics: Iterable[str]) -> list[OpenTransaction]:
        """The transactions that hold records of these topics back."""
        names = list(topics)
        end = self.end(names)
        return open_transactions(self._admin, end, self.readable(names))

    def at(self, end: Offsets, time: datetime) -> dict[str, dict[int, int]]:
        """The offset of each partition's first readable record that Kafka stored then or later;
        where there is none, the one in `end`.
        """
        places = {
            TopicPartition(topic, partition): milliseconds(time)
            for topic, partitions in end.items()
            for partition in partitions
        }
        found: dict[str, dict[int, int]] = {topic: dict(parts) for topic, parts in end.items()}
        committed = IsolationLevel.READ_COMMITTED
        for place, offset in self._admin.list_partition_offsets(places, committed).items():
            if offset.offset >= 0:
                found[place.topic][place.partition] = offset.offset
        return found

    def retention_s(self, topics: Sequence[str]) -> float | None:
        """Seconds for which the most forgetful of the topics keeps a record; None is for ever."""
        wanted = [
            ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": None})
            for topic in topics
        ]
        [found] = self._admin.describe_configs(wanted, config_filter=ConfigFilterType.ALL).values()
        kept = [int(each["retention.ms"]["value"]) for each in found.values()]
        return min((each / 1000 for each in kept if each >= 0), default=None)

    def commit(self, group: str, offsets: Offsets) -> None:
        """Let the group's next reading be those offsets, as if a member had read up to there."""
        named = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for topic, partitions in offsets.items()
            for partition, offset in partitions.items()
        }
        self._admin.alter_group_offsets(group, named)

    def committed(self, group: str) -> dict[str, dict[int, int]]:
        """What a group has read; nothing if there is no such group, or Kafka cannot tell yet."""
        found: dict[str, dict[int, int]] = {}
        try:
            known = self._admin.list_group_offsets([group]).get(group, {})
        except (
            errors.CoordinatorLoadInProgressError,
            errors.CoordinatorNotAvailableError,
            errors.NotCoordinatorError,
        ):  # a broker that just started, or has not had any group yet
            return found
        for place, offset in known.items():
            if offset.offset >= 0:
                found.setdefault(place.topic, {})[place.partition] = offset.offset
        return found

    def _offsets(
        self, topics: Iterable[str], spec: str, *, committed: bool = False
    ) -> dict[str, dict[int, int]]:
        places = {
            TopicPartition(topic["name"], each["partition_index"]): OffsetSpec[spec]
            for topic in self._admin.describe_topics(list(topics))
            for each in topic["partitions"]
        }
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        found: dict[str, dict[int, int]] = {}
        for place, offset in self._admin.list_partition_offsets(places, level).items():
            found.setdefault(place.topic, {})[place.partition] = offset.offset
        return found


@contextmanager
def looking(kafka: Kafka, patience_ms: int | None = None) -> Iterator[Log]:
    """A look at that Kafka's topics; raises BrokerUnavailable if nobody answers there, or not any
    more in the body. A question may take `patience_ms`, else what kafka-python allows.
    """
    with reaching(kafka):
        patience = {} if patience_ms is None else {"request_timeout_ms": patience_ms}
        admin = KafkaAdminClient(**arguments(kafka), **patience)
    try:
        with served(kafka):
            yield Log(admin)
    finally:
        admin.close()
