"""Sends messages to Kafka, each stored once, and counts those that are acknowledged."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from kafka import KafkaProducer, errors

from contract.errors import BrokerError, BrokerUnavailable
from contract.kafka.clients import arguments, close_producer, connecting, translate_errors
from contract.kafka.connection import Kafka
from contract.wire.messages import Message
from producers.departures import Departures, WatchedClient

IN_FLIGHT = 20_000
"""Maximum number of unacknowledged messages; kafka-python's only limit is memory."""

OUTWAITED_MS = 60_000
"""Milliseconds without Kafka after which waiting messages are given up."""

_REQUEST_MS = 10_000
"""Milliseconds after which a request is tried again."""

_GRACE_SECONDS = 5.0
"""How long to wait for the other messages once one is lost."""


@dataclass(frozen=True)
class Delivery:
    """The outcome for the messages to a topic, each counted once.

    `lost` messages are certainly not in Kafka: they were never sent, or Kafka refused them.
    `unknown` ones were sent, but got no answer; Kafka may have them.
    """

    acknowledged: int
    lost: int
    unknown: int

    @property
    def total(self) -> int:
        """The number of messages to send."""
        return self.acknowledged + self.lost + self.unknown

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} of {self.total} are acknowledged, {self.lost} are lost, and "
            f"{self.unknown} are unknown"
        )


class Undelivered(BrokerError):
    """Not every message was acknowledged; `deliveries` has the outcome by topic."""

    def __init__(self, message: str, deliveries: Mapping[str, Delivery]) -> None:
        super().__init__(message)
        self.deliveries = dict(deliveries)


class Unanswered(Undelivered, BrokerUnavailable):
    """Kafka did not answer for too long, and messages were given up."""

    retriable = True


class Refused(Undelivered):
    """Kafka answers, but refuses a message."""


@contextmanager
def open_outbox(kafka: Kafka, **options: Any) -> Iterator[Outbox]:
    """An outbox to that Kafka, which stores each message once; batches wait a few milliseconds.

    `options` are additional ones for kafka-python. Raises BrokerUnavailable if no broker answers.
    """
    departures = Departures()
    with connecting(kafka):
        client = KafkaProducer(
            **arguments(kafka),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            batch_size=1 << 18,
            request_timeout_ms=min(_REQUEST_MS, OUTWAITED_MS // 3),
            delivery_timeout_ms=OUTWAITED_MS,
            max_block_ms=OUTWAITED_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            kafka_client=partial(WatchedClient, departures),
            **options,
        )
    outbox = Outbox(client, departures, kafka)
    try:
        yield outbox
    finally:
        outbox.close()


class _InFlight(NamedTuple):
    """An unacknowledged message, and when it was passed to the client."""

    future: Any
    topic: str
    tag: object
    sent_at: float


class Outbox:
    """Sends messages and counts the acknowledged ones by tag, in `acked`.

    After `settle(0)` that is exact: each message is acknowledged, or Undelivered was raised.
    """

    def __init__(self, client: KafkaProducer, departures: Departures, kafka: Kafka) -> None:
        self.acked: Counter[Any] = Counter()
        self._client, self._departures, self._kafka = client, departures, kafka
        self._expected: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self._in_flight: deque[_InFlight] = deque()
        self._failure: errors.KafkaError | None = None

    def partitions(self, topic: str) -> int:
        """The topic's number of partitions; raises BrokerUnavailable if Kafka does not answer."""
        with translate_errors(self._kafka):
            return len(self._client.partitions_for(topic))

    def expect(self, topic: str, count: int = 1) -> None:
        """Announce so many more messages to the topic; they count as lost until they are sent."""
        self._expected[topic] += count

    def send(self, topic: str, message: Message, tag: object, partition: int | None = None) -> None:
        """Send a message, to the partition of its key if none is given. Raises Undelivered."""
        try:
            future = self._client.send(
                topic, message.value, message.key, message.headers, partition
            )
        except errors.KafkaError as exc:
            self._give_up(exc)
        except ValueError as exc:  # the topic was created again with fewer partitions
            self._give_up(errors.KafkaError(str(exc)))
        self._in_flight.append(_InFlight(future, topic, tag, time.monotonic()))

    def reset_counts(self) -> None:
        """Reset all counts; only after `settle(0)`."""
        for counts in (self.acked, self._expected, self._acknowledged):
            counts.clear()
        self._departures.reset_counts()

    def settle(self, leave: int = IN_FLIGHT) -> None:
        """Count the answers; wait until at most `leave` messages are unacknowledged.

        Raises Undelivered, with exact counts, if a message was lost or Kafka does not answer.
        """
        self._count_answers()
        while self._failure is None and self._in_flight:
            oldest = self._in_flight[0]
            patience = oldest.sent_at + OUTWAITED_MS / 1e3 + _GRACE_SECONDS - time.monotonic()
            if len(self._in_flight) <= leave and patience > 0:
                break
            self._await(oldest.future, max(0.0, patience))
            self._count_answers()
        if self._failure is not None:
            self._give_up(self._failure)

    def close(self) -> None:
        """Close the client within seconds; messages in flight are given up."""
        if self._departures.closed:
            return
        self._departures.closed = True
        close_producer(self._client, 0)

    def _give_up(self, failure: errors.KafkaError) -> None:
        """Wait a while for answers to the other messages, then raise Undelivered with all
        counts.
        """
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._in_flight and time.monotonic() < deadline:
            self._await(self._in_flight[0].future, max(0.0, deadline - time.monotonic()))
            self._count_answers()
        self.close()
        self._count_answers()
        raise self._delivery_error(failure) from failure

    def _await(self, future: Any, seconds: float) -> None:
        """Wait for a message's answer; note an error or a timeout as the failure."""
        try:
            future.get(seconds)
        except errors.KafkaError as exc:
            self._failure = self._failure or exc

    def _count_answers(self) -> None:
        """Count the answered messages, up to the first one without an answer."""
        while self._in_flight and self._in_flight[0].future.is_done:
            message = self._in_flight.popleft()
            if message.future.succeeded():
                self.acked[message.tag] += 1
                self._acknowledged[message.topic] += 1
            else:
                self._failure = self._failure or message.future.exception

    def _delivery(self, topic: str) -> Delivery:
        acknowledged = self._acknowledged[topic]
        unknown = self._departures.stored_at_most(topic) - acknowledged
        return Delivery(acknowledged, self._expected[topic] - acknowledged - unknown, unknown)

    def _delivery_error(self, failure: errors.KafkaError) -> Undelivered:
        deliveries = {topic: self._delivery(topic) for topic in self._expected}
        counts = "; ".join(f"of {topic} {delivery}" for topic, delivery in deliveries.items())
        meaning = (
            "Lost messages were never sent or were refused; unknown ones were sent but got no "
            "answer, and Kafka may have them"
        )
        if failure.retriable:
            message = (
                f"Kafka at {self._kafka} did not accept a message for {OUTWAITED_MS // 1000} s: "
                f"{counts}. {meaning}. Restart it and send the lost messages again; `digitstream "
                f"reconcile` counts what it has."
            )
            return Unanswered(message, deliveries)
        message = (
            f"Kafka at {self._kafka} refused a message ({failure}): {counts}. {meaning}. Fix that "
            f"on the broker, or send messages that it accepts."
        )
        return Refused(message, deliveries)
