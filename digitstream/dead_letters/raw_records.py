"""Reads and sends records unchanged, whatever they hold."""

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
"""Most bytes of a record before compression; its topic limits the size after it."""

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
"""The errors for a record that is too large for its topic."""


def read_original(reader: TopicReader, source: Source) -> Message | None:
    """Read the record at a place; None if it, or its topic, is no longer there. Raises TopicMissing
    if there is no topic of that name.
    """
    if source.topic_id not in (None, reader.topic_id(source.topic)):
        return None
    record = reader.record(*source.place)
    return None if record is None else Message(record.key, record.value, list(record.headers))


class Sender:
    """Sends records to a topic unchanged; create it with `open_sender`."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self.acknowledged = 0
        """How many records Kafka acknowledged."""
        self._outbox: Outbox | None = None
        self._open = ExitStack()

    def send(self, messages: Sequence[Message]) -> list[bool]:
        """Send messages; returns for each whether Kafka took it, which it does unless too large.

        Raises Undelivered if one fails for another reason; its counts exclude `acknowledged`.
        """
        acknowledged = self._send_together(messages)
        rest = [place for place in range(len(messages)) if place not in acknowledged]
        # One that is too large ends kafka-python's client, and with it those that are not.
        if rest and len(messages) > 1:
            middle = (len(rest) + 1) // 2
            for half in (rest[:middle], rest[middle:]):
                answers = self.send([messages[place] for place in half]) if half else []
                acknowledged |= {
                    place
                    for place, is_acknowledged in zip(half, answers, strict=True)
                    if is_acknowledged
                }
        return [place in acknowledged for place in range(len(messages))]

    def close(self) -> None:
        """Close the client."""
        self._outbox = None
        self._open.close()

    def _send_together(self, messages: Sequence[Message]) -> set[int]:
        """Send messages; returns the indices of those that Kafka took: all but the too large."""
        if self._outbox is None:
            self._outbox = self._open.enter_context(open_outbox(self._kafka, **_OPTIONS))
        outbox = self._outbox
        outbox.reset_counts()
        outbox.expect(self._topic, len(messages))
        try:
            for place, (key, value, headers) in enumerate(messages):
                data = _NOTHING if value is None else value
                outbox.send(self._topic, Message(key, data, headers), place)  # type: ignore[arg-type]
            outbox.settle(0)
        except Refused as refusal:
            is_doubtful = refusal.deliveries[self._topic].unknown
            if is_doubtful or not isinstance(refusal.__cause__, TOO_LARGE):
                raise
            self.close()
        self.acknowledged += outbox.acked.total()
        return set(outbox.acked)


@contextmanager
def open_sender(kafka: Kafka, topic: str) -> Iterator[Sender]:
    """Open a sender to a topic. It sends each record once, acknowledged by all replicas.

    It raises BrokerUnavailable if no broker answers.
    """
    sender = Sender(kafka, topic)
    try:
        yield sender
    finally:
        sender.close()


_NOTHING = object()


class _Nothing(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """Turns _NOTHING into null: Kafka has records without key and value, `send` refuses them."""

    def serialize(self, topic: str, headers: list[Header], data: bytes | None) -> bytes | None:
        """The value as it is."""
        return None if data is _NOTHING else data


_OPTIONS: dict[str, Any] = {
    "compression_type": "gzip",
    "max_request_size": LARGEST,
    "value_serializer": _Nothing(),
}
