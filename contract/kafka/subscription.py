"""Reads a topic from a position on, in a consumer group or alone, without skipping records."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NoReturn

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition, errors
from kafka.consumer.fetcher import ConsumerRecord
from kafka.structs import OffsetAndMetadata

from contract.errors import (
    BrokerError,
    BrokerUnavailable,
    DigitstreamError,
    RecordsLost,
    TopicMissing,
)
from contract.kafka.bounded_batches import POLL_RECORDS, bound_batches
from contract.kafka.clients import connecting, consumer_arguments, unreachable_error
from contract.kafka.codecs import DECODING_ERRORS, decoding_error
from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES

_COMMIT_SECONDS = 1.0
_PATIENCE_MS = 5_000
_LOOK_MS = 1_000
_NO_ID = uuid.UUID(int=0)
_OF_TOPIC = "topic-id="

# Another member now has the partition, and starts where this one committed last.
_MOVED = (
    errors.CommitFailedError,
    errors.IllegalGenerationError,
    errors.RebalanceInProgressError,
    errors.UnknownMemberIdError,
)


class TopicRefused(BrokerError):
    """Kafka does not let this program read a topic."""


class Subscription:
    """The committed records of a topic, from a starting position in each partition.

    That is the position that the group committed last; without one, the oldest record, or the
    current end unless `from_beginning`. The `recall` records before a committed position are read
    again, but are not `is_fresh`. Records of aborted transactions never come, those of open ones
    come once committed. The constructor raises BrokerUnavailable and TopicMissing; it and the
    methods raise RecordsLost, TopicRefused, CodecMissing and BadEvent.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        group: str | None,
        *,
        from_beginning: bool,
        recall: int,
        auto_commit: bool,
    ) -> None:
        self._kafka, self._topic, self._group = kafka, topic, group
        self._from_beginning, self._recall = from_beginning, recall
        self._auto_commit = auto_commit
        self._begun: set[TopicPartition] = set()
        self._first: dict[TopicPartition, int] = {}
        self._done: dict[TopicPartition, int] = {}
        self._dirty = False
        self._committed = time.monotonic()
        self._failure: Exception | None = None
        self._undecoded: DigitstreamError | None = None
        with connecting(kafka):
            self._consumer = KafkaConsumer(
                **consumer_arguments(kafka),
                group_id=group,
                enable_auto_commit=False,
                # This class chooses the starting position; a deleted one is an error.
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                max_poll_records=POLL_RECORDS,
                max_partition_fetch_bytes=ANSWER_BYTES,
                metadata_max_age_ms=_LOOK_MS,  # to notice soon that the topic was replaced
            )
            bound_batches(self._consumer)
            self._partitions = self._consumer.partitions_for_topic(topic)
        self._topic_id = self._current_id()
        if not self._partitions:
            self._consumer.close(timeout_ms=_PATIENCE_MS)
            message = (
                f"Kafka at {kafka} has no topic {topic}. The first `digitstream score` creates it. "
                f"Check the prefix."
            )
            raise TopicMissing(message)
        listener = None if group is None else _PausingListener(self._consumer, self._begun)
        self._consumer.subscribe([topic], listener=listener)

    def records(self, seconds: float) -> Iterator[ConsumerRecord]:
        """The next records, in order within a partition; none if none arrives within so many
        seconds.
        """
        if self._undecoded is not None:
            raise self._undecoded  # after such a record, kafka-python would wait forever
        self._commit_if_due()
        assigned = self._consumer.assignment()
        self._begun &= assigned
        if new := assigned - self._begun:
            self._begin(list(new))
        batches: dict[TopicPartition, list[ConsumerRecord]] = {}
        try:
            batches = self._consumer.poll(timeout_ms=1000 * seconds)
        except errors.NoOffsetForPartitionError:
            pass  # a partition without a starting position yet
        except errors.KafkaError as exc:
            if not exc.retriable:
                self._raise_refusal(exc)
        self._check_topic_id()
        for records in batches.values():
            yield from records

    def is_fresh(self, record: ConsumerRecord) -> bool:
        """Whether the group has not yet committed the record."""
        first: int = self._first[TopicPartition(record.topic, record.partition)]
        return bool(record.offset >= first)

    def mark_done(self, record: ConsumerRecord) -> None:
        """Mark this record, and all before it in its partition, as ready to be committed."""
        place = TopicPartition(record.topic, record.partition)
        if record.offset >= self._done.get(place, self._first[place]):
            self._done[place] = record.offset + 1
            self._dirty = True

    def commit(self) -> None:
        """Commit what is done; waits for Kafka's confirmation."""
        if self._group is not None and self._dirty:
            try:
                self._consumer.commit(self._positions(), timeout_ms=_PATIENCE_MS)
            except _MOVED:
                pass
            except errors.KafkaError as exc:
                self._dirty = True
                self._raise_refusal(exc)

    def close(self) -> None:
        """With `auto_commit`, commit what is done; then leave the group.

        If Kafka is unreachable, records that are done come again.
        """
        try:
            if self._auto_commit:
                with suppress(BrokerUnavailable, TopicRefused):
                    self.commit()
        finally:
            self._consumer.close(timeout_ms=_PATIENCE_MS)

    def _current_id(self) -> uuid.UUID | None:
        """The topic's id in the client's metadata, which is refreshed every second."""
        topic_id: uuid.UUID | None = self._consumer._client.cluster.topic_id(self._topic)
        return None if topic_id == _NO_ID else topic_id

    def _check_topic_id(self) -> None:
        """Raise RecordsLost if the topic was replaced; commits nothing to the new one."""
        current_id = self._current_id()
        if self._topic_id is None:
            self._topic_id = current_id
        if current_id in (None, self._topic_id):
            return
        self._done.clear()
        self._dirty = False
        message = (
            f"The topic {self._topic} was deleted and created again while it was read: its records "
            f"are gone, and the old offsets mean nothing in the new topic. No record is skipped "
            f"silently. Start this program again to read the new topic."
        )
        raise RecordsLost(message)

    def _begin(self, places: list[TopicPartition]) -> None:
        """Seek to the starting positions, or `recall` records before committed ones."""
        try:
            oldest = self._consumer.beginning_offsets(places)
            newest = self._consumer.end_offsets(places)
            for place in places:
                position = None if self._group is None else self._committed_at(place)
                if position is None:
                    # A partition added since the start has only records from after the start.
                    from_oldest = self._from_beginning or place.partition not in self._partitions
                    self._first[place] = oldest[place] if from_oldest else newest[place]
                    self._done[place] = self._first[place]
                    self._dirty = True
                    self._consumer.seek(place, self._first[place])
                elif position < oldest[place]:
                    self._raise_refusal(errors.OffsetOutOfRangeError({place: position}))
                else:
                    self._first[place] = position
                    self._consumer.seek(place, max(position - self._recall, oldest[place]))
        except errors.KafkaError as exc:
            if exc.retriable:
                return  # the next poll tries again
            self._raise_refusal(exc)
        self._consumer.resume(*places)
        self._begun.update(places)

    def _committed_at(self, place: TopicPartition) -> int | None:
        """The group's committed position, None without one. A position in an earlier topic of this
        name counts as 0.
        """
        position = self._consumer.committed(place, metadata=True, timeout_ms=_PATIENCE_MS)
        if position is None:
            return None
        is_earlier = position.metadata.startswith(_OF_TOPIC) and position.metadata != self._mark()
        return 0 if is_earlier else int(position.offset)

    def _mark(self) -> str:
        """Commit metadata that identifies the topic; empty if topics have no ids."""
        return "" if self._topic_id is None else f"{_OF_TOPIC}{self._topic_id}"

    def _positions(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """The offsets to commit, with the topic's id as metadata."""
        self._dirty = False
        mark = self._mark()
        return {
            place: OffsetAndMetadata(offset, mark, -1)
            for place, offset in self._done.items()
            if place in self._begun
        }

    def _commit_if_due(self) -> None:
        """Commit what is done if the last commit is a while ago, without waiting for Kafka."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._raise_refusal(failure)
        if (
            self._group is not None
            and self._auto_commit
            and self._dirty
            and time.monotonic() - self._committed > _COMMIT_SECONDS
        ):
            self._committed = time.monotonic()
            self._consumer.commit_async(self._positions(), callback=self._on_commit)

    def _on_commit(self, offsets: object, answer: object) -> None:
        """Note the outcome of a commit; the next commit retries what can be retried."""
        if isinstance(answer, Exception) and not isinstance(answer, _MOVED):
            self._dirty = True
            if not getattr(answer, "retriable", False):
                self._failure = answer

    def _raise_refusal(self, exc: Exception) -> NoReturn:
        if isinstance(exc, errors.OffsetOutOfRangeError):
            message = (
                f"Kafka at {self._kafka} no longer has records of {self._topic} that were not "
                f"read yet ({exc}): its retention deleted them. No record is skipped silently. If "
                f"you can do without them, use another group, or reset this one with "
                f"`kafka-consumer-groups.sh --reset-offsets`."
            )
            raise RecordsLost(message) from exc
        if isinstance(exc, DECODING_ERRORS):
            self._undecoded = decoding_error(self._topic, exc)
            raise self._undecoded from exc
        if getattr(exc, "retriable", False):
            raise unreachable_error(self._kafka) from exc
        if isinstance(exc, errors.AuthorizationError):
            message = (
                f"Kafka at {self._kafka} does not let this program read {self._topic}: {exc!r}. It "
                f"needs the right to read the topic and to use its group. Ask Kafka's "
                f"administrator."
            )
        else:
            message = (
                f"Kafka at {self._kafka} stopped serving {self._topic} to this program: {exc!r}. "
                f"Records that were not read are still there. Start again; the program continues "
                f"where it stopped."
            )
        raise TopicRefused(message) from exc


class _PausingListener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Pauses newly assigned partitions until their starting position is known."""

    def __init__(self, consumer: KafkaConsumer, begun: set[TopicPartition]) -> None:
        self._consumer, self._begun = consumer, begun

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause the partitions; nothing is fetched before their starting position is known."""
        self._begun.difference_update(assigned)
        self._consumer.pause(*assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing to do: fetched records are returned; the next member may get them, too."""
