"""Tracks which of a producer's messages were sent, from its requests and their responses."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kafka.errors import (
    Cancelled,
    DuplicateSequenceNumberError,
    NotEnoughReplicasError,
    RetriableError,
    UnknownError,
    for_code,
)
from kafka.future import Future
from kafka.net.compat import KafkaNetClient
from kafka.protocol.producer import ProduceRequest

_NUMBERED = struct.Struct(">qhii")
"""Part of a record batch: producer's id and epoch, first sequence number, number of records."""

_NUMBERED_AT = 43
"""The offset of this part in a record batch (magic 2)."""

_STORED = (0, DuplicateSequenceNumberError.errno)
"""Kafka's error codes for a batch that it has stored."""

_Place = tuple[str, int]
_Number = tuple[str, int, int, int, int]
"""A message on the wire: topic, partition, producer's id and epoch, sequence number."""


class Departures:
    """The messages of a producer that were sent to Kafka, and its responses.

    For idempotent producers only, as only they number messages. kafka-python's futures tell neither
    whether a failed message was ever sent, nor, if several fail together, which of them Kafka
    refused.
    """

    def __init__(self) -> None:
        self.closed = False
        """Whether sending is over."""
        self._sent: Counter[str] = Counter()
        self._unacknowledged: set[_Number] = set()
        self._doubtful: set[_Number] = set()
        self._refused: set[_Number] = set()

    def stored_at_most(self, topic: str) -> int:
        """Upper bound of the messages to the topic that Kafka has: those sent and not refused."""
        return self._sent[topic] - sum(number[0] == topic for number in self._refused)

    def reset_counts(self) -> None:
        """Reset the counts of sent and refused messages."""
        self._sent.clear()
        self._refused.clear()

    def note_request(self, request: ProduceRequest) -> None:
        """Note that the messages of a request are sent, for the first time or again."""
        for (topic, _), numbers in _batches(request):
            self._sent[topic] += len(numbers - self._unacknowledged)
            self._unacknowledged |= numbers
            self._refused -= numbers

    def note_response(self, request: ProduceRequest, response: Any) -> None:
        """Note Kafka's response to each batch of a request."""
        codes = {
            (topic.name, partition.index): partition.error_code
            for topic in response.responses
            for partition in topic.partition_responses
        }
        for place, numbers in _batches(request):
            if codes.get(place) in _STORED:
                self._unacknowledged -= numbers
                self._doubtful -= numbers
            elif place in codes and _is_refusal(codes[place]):
                self._refused |= numbers - self._doubtful
            else:
                self._doubtful |= numbers

    def note_failure(self, request: ProduceRequest) -> None:
        """Note that a request will get no response."""
        for _, numbers in _batches(request):
            self._doubtful |= numbers


class WatchedClient(KafkaNetClient):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's client, which notes the producer's requests in `departures`."""

    def __init__(self, departures: Departures, **options: Any) -> None:
        super().__init__(**options)
        self._departures = departures

    def send(self, node_id: int, request: Any, **options: Any) -> Future:
        """Send a request; one with messages fails once `departures` is closed."""
        if not isinstance(request, ProduceRequest):
            return super().send(node_id, request, **options)
        if self._departures.closed:
            return Future().failure(Cancelled("the producer is closed"))
        self._departures.note_request(request)
        future = super().send(node_id, request, **options)
        future.add_callback(lambda response: self._departures.note_response(request, response))
        future.add_errback(lambda error: self._departures.note_failure(request))
        return future


def _batches(request: ProduceRequest) -> Iterator[tuple[_Place, set[_Number]]]:
    """The messages of each batch of a request, which has one batch per partition."""
    for topic in request.topic_data:
        for partition in topic.partition_data:
            place = topic.name, partition.index
            id, epoch, first, count = _NUMBERED.unpack_from(partition.records, _NUMBERED_AT)
            yield place, {(*place, id, epoch, first + number) for number in range(count)}


def _is_refusal(code: int) -> bool:
    """Whether a batch with this error code is certainly not stored.

    With a retriable error it may be: a leader that steps down, or whose disk fails, reports one for
    messages that it has appended.
    """
    error = for_code(code)
    return error is NotEnoughReplicasError or not issubclass(error, (RetriableError, UnknownError))
