"""Which messages of a producer have left this machine, as its requests and their answers tell."""

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
"""Of a record batch: producer's id and epoch, the first sequence number, how many records."""

_NUMBERED_AT = 43
"""Where in a record batch (magic 2) these are."""

_STORED = (0, DuplicateSequenceNumberError.errno)
"""What Kafka answers to a batch that it has."""

_Place = tuple[str, int]
_Number = tuple[str, int, int, int, int]
"""A message on the wire: topic, partition, producer's id and epoch, sequence number."""


class Departures:
    """What of a producer's messages went to Kafka, and what it answered.

    For idempotent producers only: others number no messages. kafka-python's futures do not tell
    whether a message that failed has ever left, nor, where several fail as one, which of them
    Kafka refused.
    """

    def __init__(self) -> None:
        self.closed = False
        """Whether no further message may leave."""
        self._left: Counter[str] = Counter()
        self._unacknowledged: set[_Number] = set()
        self._doubtful: set[_Number] = set()
        self._refused: set[_Number] = set()

    def stored_at_most(self, topic: str) -> int:
        """How many messages to the topic Kafka may have: all that left but for those it refused."""
        return self._left[topic] - sum(number[0] == topic for number in self._refused)

    def count_anew(self) -> None:
        """Forget the messages that were answered."""
        self._left.clear()
        self._refused.clear()

    def depart(self, request: ProduceRequest) -> None:
        """Note that the messages of a request leave, for the first time or again."""
        for (topic, _), numbers in _batches(request):
            self._left[topic] += len(numbers - self._unacknowledged)
            self._unacknowledged |= numbers
            self._refused -= numbers

    def answered(self, request: ProduceRequest, response: Any) -> None:
        """Note what Kafka says of each batch of a request."""
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

    def unanswered(self, request: ProduceRequest) -> None:
        """Note that no answer to a request will come."""
        for _, numbers in _batches(request):
            self._doubtful |= numbers


class WatchedClient(KafkaNetClient):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's client, for a producer whose departures are noted."""

    def __init__(self, departures: Departures, **options: Any) -> None:
        super().__init__(**options)
        self._departures = departures

    def send(self, node_id: int, request: Any, **options: Any) -> Future:
        """Send a request; one of messages fails once departures are closed."""
        if not isinstance(request, ProduceRequest):
            return super().send(node_id, request, **options)
        if self._departures.closed:
            return Future().failure(Cancelled("the producer is closed"))
        self._departures.depart(request)
        future = super().send(node_id, request, **options)
        future.add_callback(lambda response: self._departures.answered(request, response))
        future.add_errback(lambda error: self._departures.unanswered(request))
        return future


def _batches(request: ProduceRequest) -> Iterator[tuple[_Place, set[_Number]]]:
    """The messages of each batch of a request, which has one for a partition."""
    for topic in request.topic_data:
        for partition in topic.partition_data:
            place = topic.name, partition.index
            id, epoch, first, count = _NUMBERED.unpack_from(partition.records, _NUMBERED_AT)
            yield place, {(*place, id, epoch, first + number) for number in range(count)}


def _is_refusal(code: int) -> bool:
    """Whether a batch with this answer is not stored, for certain.

    What can be tried again may be stored: a leader that steps down, or whose disk fails, answers
    so for messages that it has appended.
    """
    error = for_code(code)
    return error is NotEnoughReplicasError or not issubclass(error, (RetriableError, UnknownError))
