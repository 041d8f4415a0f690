"""Reads a topic from a position to its current end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from contract.errors import BrokerUnavailable, TopicMissing
from contract.home.checkpoint import Positions
from contract.kafka.bounded_batches import POLL_RECORDS, bound_batches
from contract.kafka.clients import (
    PATIENCE_MS,
    access_denied,
    connecting,
    consumer_arguments,
    translate_errors,
    unreachable_error,
)
from contract.kafka.codecs import DECODING_ERRORS, decoding_error
from contract.kafka.connection import Kafka
from contract.kafka.offsets import Log, open_log
from contract.kafka.topics import is_hidden

FETCH_BYTES = 32 * 1024 * 1024
PATIENCE_SECONDS = 60
"""How long to wait for records that Kafka has."""
_AGAIN_SECONDS = 0.2

T = TypeVar("T")


class TopicReader:
    """Reads committed records of Kafka topics in bulk; create it with `open_reader`.

    Each method raises BrokerUnavailable if Kafka is gone, AccessDenied, and TopicMissing; those
    that read records also raise BadEvent for one that cannot be read at all, and CodecMissing for
    one that this Python cannot decompress.
    """

    def __init__(self, log: Log, kafka: Kafka) -> None:
        self._log, self._kafka = log, kafka
        self._consumer = _connect(kafka)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close(timeout_ms=PATIENCE_MS)

    def topic_id(self, topic: str) -> str | None:
        """The topic's id in Kafka; None if this Kafka has no ids, or no such topic."""
        return self._ask(lambda: self._log.topic_ids([topic]).get(topic))

    def first(self, topic: str) -> Positions:
        """The offset of the oldest record still in each partition."""
        places = self._partitions(topic)
        offsets: dict[TopicPartition, int]
        with translate_errors(self._kafka):
            offsets = self._consumer.beginning_offsets(places)
        return {place.partition: offset for place, offset in offsets.items()}

    def end(self, topic: str) -> Positions:
        """The offset up to which each partition can be read: that of its next record, or that of
        the first record of an open transaction.
        """
        places = self._partitions(topic)
        offsets: dict[TopicPartition, int]
        with translate_errors(self._kafka):
            offsets = self._consumer.end_offsets(places)
        return {place.partition: offset for place, offset in offsets.items()}

    def records(
        self,
        topic: str,
        start: Mapping[int, int] | None = None,
        stop: Mapping[int, int] | None = None,
    ) -> Iterator[list[ConsumerRecord]]:
        """All records from `start` (else the oldest) to the current end, many at a time.

        With `stop` only to these offsets, and only of the partitions that it names.
        """
        first, end = self.first(topic), self.end(topic)
        if stop is not None:
            end = {part: min(offset, end[part]) for part, offset in stop.items() if part in end}
        begin = {part: max(offset, (start or {}).get(part, 0)) for part, offset in first.items()}
        left = {part for part in end if begin[part] < end[part]}
        self._consumer.assign([TopicPartition(topic, part) for part in left])
        for part in left:
            self._consumer.seek(TopicPartition(topic, part), begin[part])
        while left:
            for place, records in self._poll(topic).items():
                yield [record for record in records if record.offset < end[place.partition]]
            left = {part for part in left if self._position(topic, part) < end[part]}

    def record(self, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
        """The record at a place; None if there is none, or it was deleted."""
        first, end = self.first(topic), self.end(topic)
        if not first.get(partition, 0) <= offset < end.get(partition, 0):
            return None
        place = TopicPartition(topic, partition)
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        while self._position(topic, partition) <= offset:
            for record in self._poll(topic, max_records=1).get(place, ()):
                return record if record.offset == offset else None
        return None

    def _position(self, topic: str, partition: int) -> int:
        return self._at(TopicPartition(topic, partition))

    def _at(self, place: TopicPartition) -> int:
        with translate_errors(self._kafka):
            offset = self._consumer.position(place, timeout_ms=1000 * PATIENCE_SECONDS)
        if offset is None:
            raise unreachable_error(self._kafka)
        return int(offset)

    def _poll(self, topic: str, **limits: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        """The next records of the topic; empty if only marks of a transaction came, which are no
        records.
        """
        before = self._places()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            records: dict[TopicPartition, list[ConsumerRecord]]
            try:
                with translate_errors(self._kafka):
                    records = self._consumer.poll(timeout_ms=1000, **limits)
            except DECODING_ERRORS as exc:
                raise decoding_error(topic, exc) from exc
            if records or self._places() != before:
                return records
        raise unreachable_error(self._kafka)

    def _places(self) -> list[Any]:
        return [self._at(place) for place in sorted(self._consumer.assignment())]

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask Kafka, again and again while no broker answers: a restarted broker has closed the
        connection, and one of several may be gone.
        """
        deadline = time.monotonic() + PATIENCE_MS / 1e3
        while True:
            try:
                with translate_errors(self._kafka):
                    return question()
            except BrokerUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        """The current partitions of the topic. Replaces a consumer that does not know them yet: it
        would learn of new ones only after minutes.
        """
        partitions = self._ask(lambda: self._log.partitions(topic))
        if not partitions and is_hidden(self._kafka, topic):
            raise access_denied(self._kafka, f"it may not READ {topic}")
        if not partitions:
            message = (
                f"Kafka at {self._kafka} has no topic {topic}. The first `digitstream produce` or "
                f"`digitstream score` creates it. Check --prefix."
            )
            raise TopicMissing(message)
        with translate_errors(self._kafka):
            is_outdated = self._consumer.partitions_for_topic(topic) != set(partitions)
        if is_outdated:
            self.close()
            self._consumer = _connect(self._kafka)
        return [TopicPartition(topic, part) for part in partitions]


@contextmanager
def open_reader(kafka: Kafka) -> Iterator[TopicReader]:
    """Open a reader of a Kafka's topics; raises BrokerUnavailable if no broker answers, TlsFailed
    and AccessDenied.
    """
    with open_log(kafka) as log, closing(TopicReader(log, kafka)) as reader:
        yield reader


def _connect(kafka: Kafka) -> KafkaConsumer:
    with connecting(kafka):
        consumer = KafkaConsumer(
            **consumer_arguments(kafka),
            enable_auto_commit=False,
            max_poll_records=POLL_RECORDS,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
    return bound_batches(consumer)
