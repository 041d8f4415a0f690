"""A topic followed from a position on, by a group or alone, without ever skipping a record."""

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
from contract.kafka.bounded_batches import POLL_RECORDS, bounded
from contract.kafka.clients import absent, consuming, reaching
from contract.kafka.codecs import UNDECODED, undecoded
from contract.kafka.connection import Kafka
from contract.wire.topics import ANSWER_BYTES

_COMMIT_SECONDS = 1.0
_PATIENCE_MS = 5_000
_LOOK_MS = 1_000
_NO_ID = uuid.UUID(int=0)
_OF_TOPIC = "topic-id="

# Another member has the partition now, and begins where this one committed last.
_MOVED = (
    errors.CommitFailedError,
    errors.IllegalGenerationError,
    errors.RebalanceInProgressError,
    errors.UnknownMemberIdError,
)


class TopicRefused(BrokerError):
    """Kafka does not give a topic to this program."""


class Following:
    """The committed records of a topic, from where this program begins.

    That is, by partition, where its group committed last; else, and without a group, the oldest
    record, or the end as it is now. `recall` records before a committed position come once more,
    as ones that are not `fresh`. What a transaction aborted never comes, and what one holds open
    not yet. Raises BrokerUnavailable and TopicMissing; RecordsLost, TopicRefused, CodecMissing and
    BadEvent then and later.
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
        with reaching(kafka):
            self._consumer = KafkaConsumer(
                **consuming(kafka),
                group_id=group,
                enable_auto_commit=False,
                # Where to begin is decided here, and a position that is gone is an error.
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                max_poll_records=POLL_RECORDS,
                max_partition_fetch_bytes=ANSWER_BYTES,
                metadata_max_age_ms=_LOOK_MS,  # Kafka's answers do not say of which topic they are
            )
            bounded(self._consumer)
            self._partitions = self._consumer.partitions_for_topic(topic)
        self._topic_id = self._id_now()
        if not self._partitions:
            self._consumer.close(timeout_ms=_PATIENCE_MS)
            message = (
                f"Kafka at {kafka} has no topic {topic}. It is made by the first `digitstream "
                f"score`. Check the prefix."
            )
            raise TopicMissing(message)
        listener = None if group is None else _Assigned(self._consumer, self._begun)
        self._consumer.subscribe([topic], listener=listener)

    def records(self, seconds: float) -> Iterator[ConsumerRecord]:
        """Some records, each partition's in order, as soon as there are any; none after a while."""
        if self._undecoded is not None:
            raise self._undecoded  # a client that has met such a record would wait for ever
        self._commit_in_time()
        assigned = self._consumer.assignment()
        self._begun &= assigned
        if new := assigned - self._begun:
            self._begin(list(new))
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        try:
            found = self._consumer.poll(timeout_ms=1000 * seconds)
        except errors.NoOffsetForPartitionError:
            pass  # nobody has begun there yet
        except errors.KafkaError as exc:
            if not exc.retriable:
                self._refused(exc)
        self._check_topic_id()
        for records in found.values():
            yield from records

    def fresh(self, record: ConsumerRecord) -> bool:
        """Whether nobody of this group is done with the record."""
        first: int = self._first[TopicPartition(record.topic, record.partition)]
        return bool(record.offset >= first)

    def done(self, record: ConsumerRecord) -> None:
        """This record, and all before it in its partition, need not come again."""
        place = TopicPartition(record.topic, record.partition)
        if record.offset >= self._done.get(place, self._first[place]):
            self._done[place] = record.offset + 1
            self._dirty = True

    def commit(self) -> None:
        """Commit what is done, and return when Kafka knows it."""
        if self._group is not None and self._dirty:
            try:
                self._consumer.commit(self._positions(), timeout_ms=_PATIENCE_MS)
            except _MOVED:
                pass
            except errors.KafkaError as exc:
                self._dirty = True
                self._refused(exc)

    def close(self) -> None:
        """Commit what is done, with `auto_commit`, and leave the group.

        Where Kafka is gone, what is done comes again.
        """
        try:
            if self._auto_commit:
                with suppress(BrokerUnavailable, TopicRefused):
                    self.commit()
        finally:
            self._consumer.close(timeout_ms=_PATIENCE_MS)

    def _id_now(self) -> uuid.UUID | None:
        """The topic's id, as Kafka told the client a second ago at most."""
        topic_id: uuid.UUID | None = self._consumer._client.cluster.topic_id(self._topic)
        return None if topic_id == _NO_ID else topic_id

    def _check_topic_id(self) -> None:
        """Raise RecordsLost if the topic is another one now, and commit nothing to that."""
        id_now = self._id_now()
        if self._topic_id is None:
            self._topic_id = id_now
        if id_now in (None, self._topic_id):
            return
        self._done.clear()
        self._dirty = False
        message = (
            f"The topic {self._topic} was deleted and made anew while it was read: what it held is "
            f"gone, and its old offsets say nothing of the new one. Nothing is skipped in silence. "
            f"Start this program again to read the new topic."
        )
        raise RecordsLost(message)

    def _begin(self, places: list[TopicPartition]) -> None:
        """Seek to where this program begins, or so far before that as is to be recalled."""
        try:
            oldest = self._consumer.beginning_offsets(places)
            newest = self._consumer.end_offsets(places)
            for place in places:
                known = None if self._group is None else self._committed_at(place)
                if known is None:
                    # A partition that was added since then has nothing that came before.
                    whole = self._from_beginning or place.partition not in self._partitions
                    self._first[place] = oldest[place] if whole else newest[place]
                    self._done[place] = self._first[place]
                    self._dirty = True
                    self._consumer.seek(place, self._first[place])
                elif known < oldest[place]:
                    self._refused(errors.OffsetOutOfRangeError({place: known}))
                else:
                    self._first[place] = known
                    self._consumer.seek(place, max(known - self._recall, oldest[place]))
        except errors.KafkaError as exc:
            if exc.retriable:
                return  # it is tried again at the next look
            self._refused(exc)
        self._consumer.resume(*places)
        self._begun.update(places)

    def _committed_at(self, place: TopicPartition) -> int | None:
        """Where the group is: in an earlier topic of that name it has taken nothing of this one;
        None if it has not begun.
        """
        position = self._consumer.committed(place, metadata=True, timeout_ms=_PATIENCE_MS)
        if position is None:
            return None
        is_earlier = position.metadata.startswith(_OF_TOPIC) and position.metadata != self._mark()
        return 0 if is_earlier else int(position.offset)

    def _mark(self) -> str:
        """What says in a commit which topic it is an offset of; nothing where topics have no id."""
        return "" if self._topic_id is None else f"{_OF_TOPIC}{self._topic_id}"

    def _positions(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What is to be committed, each with the id of the topic that it is an offset of."""
        self._dirty = False
        mark = self._mark()
        return {
            place: OffsetAndMetadata(offset, mark, -1)
            for place, offset in self._done.items()
            if place in self._begun
        }

    def _commit_in_time(self) -> None:
        """Commit what is done, if that was not done for a while, without waiting for Kafka."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._refused(failure)
        if (
            self._group is not None
            and self._auto_commit
            and self._dirty
            and time.monotonic() - self._committed > _COMMIT_SECONDS
        ):
            self._committed = time.monotonic()
            self._consumer.commit_async(self._positions(), callback=self._heard)

    def _heard(self, offsets: object, answer: object) -> None:
        """A commit was answered. The next one mends what can be mended."""
        if isinstance(answer, Exception) and not isinstance(answer, _MOVED):
            self._dirty = True
            if not getattr(answer, "retriable", False):
                self._failure = answer

    def _refused(self, exc: Exception) -> NoReturn:
        if isinstance(exc, errors.OffsetOutOfRangeError):
            message = (
                f"Kafka at {self._kafka} no longer has records of {self._topic} that were not "
                f"taken yet ({exc}): its retention removed them. None is ever skipped in silence. "
                f"If they may go, take another group, or move this one with "
                f"`kafka-consumer-groups.sh --reset-offsets`."
            )
            raise RecordsLost(message) from exc
        if isinstance(exc, UNDECODED):
            self._undecoded = undecoded(self._topic, exc)
            raise self._undecoded from exc
        if getattr(exc, "retriable", False):
            raise absent(self._kafka) from exc
        if isinstance(exc, errors.AuthorizationError):
            message = (
                f"Kafka at {self._kafka} does not give {self._topic} to this program: {exc!r}. It "
                f"must be allowed to read the topic, and to use its group. Ask whoever runs Kafka."
            )
        else:
            message = (
                f"Kafka at {self._kafka} stopped giving {self._topic} to this program: {exc!r}. "
                f"What was not taken stays there. Start again; it goes on where it stopped."
            )
        raise TopicRefused(message) from exc


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Holds partitions back that a group gives to this member until they have begun."""

    def __init__(self, consumer: KafkaConsumer, begun: set[TopicPartition]) -> None:
        self._consumer, self._begun = consumer, begun

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing is fetched before it is known from where."""
        self._begun.difference_update(assigned)
        self._consumer.pause(*assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """What was fetched already is handed on; the next member gets it again, perhaps."""
