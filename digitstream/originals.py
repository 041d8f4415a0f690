"""Records as they came: read from where they lie, sent whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from kafka.future import Future
from kafka.serializer import Serializer

from contract.clients import arguments, reaching
from contract.connection import Kafka
from contract.events import Source
from contract.headers import Header
from contract.messages import Message
from digitstream.consumer import TopicReader

LARGEST = 1 << 28
"""Bytes that a record may have before it is compressed; its topic limits what it may have after."""

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What a record fails with that its topic does not take."""


def original(reader: TopicReader, source: Source) -> Message | None:
    """The record at a place; None if it is no longer there, nor the topic that it lay in. Raises
    TopicMissing.
    """
    if source.topic_id not in (None, reader.topic_id(source.topic)):
        return None
    record = reader.record(*source.place)
    return None if record is None else Message(record.key, record.value, list(record.headers))


class Sender:
    """Sends records to a topic as they are; make it with `sending`."""

    def __init__(self, producer: KafkaProducer, topic: str) -> None:
        self._producer, self._topic = producer, topic

    def send(self, message: Message) -> Future:
        """Begin to send; the future fails with one of TOO_LARGE if the topic does not take it."""
        key, value, headers = message
        try:
            given = _NOTHING if value is None else value
            return self._producer.send(self._topic, given, key, headers)
        except TOO_LARGE as exc:
            return Future().failure(exc)

    def flush(self) -> None:
        """Return when everything was acknowledged, or has failed."""
        self._producer.flush()


@contextmanager
def sending(kafka: Kafka, topic: str) -> Iterator[Sender]:
    """A sender to that topic; raises BrokerUnavailable if nobody answers.

    Each record once, in order, acknowledged by all replicas.
    """
    with reaching(kafka):
        producer = KafkaProducer(
            **arguments(kafka),
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            max_request_size=LARGEST,
            value_serializer=_Nothing(),
        )
    try:
        yield Sender(producer, topic)
    finally:
        producer.close()


_NOTHING = object()


class _Nothing(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """Puts null where _NOTHING stands: Kafka has records without key and value, `send` has not."""

    def serialize(self, topic: str, headers: list[Header], data: bytes | None) -> bytes | None:
        """The value as it is."""
        return None if data is _NOTHING else data
