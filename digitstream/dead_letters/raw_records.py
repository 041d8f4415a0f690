"""Records as they came: read from where they lie, sent whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from kafka.serializer import Serializer

from contract.kafka.connection import Kafka
from contract.wire.events import Source
from contract.wire.headers import Header
from contract.wire.messages import Message
from digitstream.accounts.topic_reader import TopicReader
from producers.sending import Outbox, Refused, open_outbox

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

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self.taken = 0
        """How many records Kafka acknowledged."""
        self._outbox: Outbox | None = None
        self._open = ExitStack()

    def send(self, messages: Sequence[Message]) -> list[bool]:
        """Whether Kafka took each, in order; it does not take what is too large for the topic.

        Raises Undelivered if one fails for another reason; it counts those that `taken` does not.
        """
        taken = self._acknowledged(messages)
        rest = [place for place in range(len(messages)) if place not in taken]
        # One that is too large ends kafka-python's client, and with it those that are not.
        if rest and len(messages) > 1:
            middle = (len(rest) + 1) // 2
            for half in (rest[:middle], rest[middle:]):
                answers = self.send([messages[place] for place in half]) if half else []
                taken |= {place for place, is_taken in zip(half, answers, strict=True) if is_taken}
        return [place in taken for place in range(len(messages))]

    def close(self) -> None:
        """End the client."""
        self._outbox = None
        self._open.close()

    def _acknowledged(self, messages: Sequence[Message]) -> set[int]:
        """The places of those that Kafka took; all, unless it found one too large."""
        if self._outbox is None:
            self._outbox = self._open.enter_context(open_outbox(self._kafka, **_OPTIONS))
        outbox = self._outbox
        outbox.reset_counts()
        outbox.expect(self._topic, len(messages))
        try:
            for place, (key, value, headers) in enumerate(messages):
                given = _NOTHING if value is None else value
                outbox.send(self._topic, Message(key, given, headers), place)  # type: ignore[arg-type]
            outbox.settle(0)
        except Refused as refusal:
            is_doubtful = refusal.deliveries[self._topic].unknown
            if is_doubtful or not isinstance(refusal.__cause__, TOO_LARGE):
                raise
            self.close()
        self.taken += outbox.acked.total()
        return set(outbox.acked)


@contextmanager
def sending(kafka: Kafka, topic: str) -> Iterator[Sender]:
    """A sender to that topic: each record once, acknowledged by all replicas.

    It raises BrokerUnavailable if nobody answers.
    """
    sender = Sender(kafka, topic)
    try:
        yield sender
    finally:
        sender.close()


_NOTHING = object()


class _Nothing(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """Puts null where _NOTHING stands: Kafka has records without key and value, `send` has not."""

    def serialize(self, topic: str, headers: list[Header], data: bytes | None) -> bytes | None:
        """The value as it is."""
        return None if data is _NOTHING else data


_OPTIONS: dict[str, Any] = {
    "compression_type": "gzip",
    "max_request_size": LARGEST,
    "value_serializer": _Nothing(),
}
