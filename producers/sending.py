"""Messages to Kafka, stored once each, and counted when the broker says that it has them."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import kafka.errors
from kafka import KafkaProducer

from contract.errors import BrokerError, BrokerUnavailable
from contract.kafka.clients import arguments, close_producer, connecting, translate_errors
from contract.kafka.connection import Kafka
from contract.wire.messages import Message
from producers.departures import Departures, WatchedClient

UNDER_WAY = 20_000
"""Messages without an answer at most; kafka-python itself takes whatever fits into memory."""

OUTWAITED_MS = 60_000
"""How long Kafka may be away before the messages that wait for it are given up."""

_REQUEST_MS = 10_000
"""How long a broker may take for one request before another attempt is made."""

_GRACE_SECONDS = 5.0
"""How long the other messages are awaited once one is lost."""


@dataclass(frozen=True)
class Delivery:
    """What became of messages to one topic: each is counted once, whatever happened.

    `lost` are not in Kafka and will not come: they never left, or Kafka refused them. `unknown`
    left without an answer; Kafka may have them.
    """

    acknowledged: int
    lost: int
    unknown: int

    @property
    def total(self) -> int:
        """All that were to be sent."""
        return self.acknowledged + self.lost + self.unknown

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} of {self.total} are acknowledged, {self.lost} are lost, and "
            f"{self.unknown} are unknown"
        )


class Undelivered(BrokerError):
    """Not every message was acknowledged; `deliveries` says what became of them, by topic."""

    def __init__(self, message: str, deliveries: Mapping[str, Delivery]) -> None:
        super().__init__(message)
        self.deliveries = dict(deliveries)


class Unanswered(Undelivered, BrokerUnavailable):
    """Kafka did not answer for so long that messages were given up."""

    retriable = True


class Refused(Undelivered):
    """Kafka answers, but does not take a message."""


@contextmanager
def open_outbox(to: Kafka, **options: Any) -> Iterator[Outbox]:
    """An outbox to that Kafka, which stores each message once, in batches of a few milliseconds.

    `options` are more of kafka-python's. Raises BrokerUnavailable if nobody answers.
    """
    departures = Departures()
    with connecting(to):
        client = KafkaProducer(
            **arguments(to),
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
    outbox = Outbox(client, departures, to)
    try:
        yield outbox
    finally:
        outbox.close()


class _UnderWay(NamedTuple):
    """A message without an answer, and when it was handed to the client."""

    future: Any
    topic: str
    tag: object
    sent: float


class Outbox:
    """Sends, and keeps count: `acked` says of each tag how many messages the broker has.

    After `settle(0)` that is exact: each message is acknowledged, or Undelivered was raised.
    """

    def __init__(self, client: KafkaProducer, departures: Departures, to: Kafka) -> None:
        self.acked: Counter[Any] = Counter()
        self._client, self._departures, self._to = client, departures, to
        self._expected: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self._under_way: deque[_UnderWay] = deque()
        self._failure: kafka.errors.KafkaError | None = None

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; raises BrokerUnavailable if Kafka does not say."""
        with translate_errors(self._to):
            return len(self._client.partitions_for(topic))

    def expect(self, topic: str, count: int = 1) -> None:
        """So many more messages are to be sent to the topic: counted as lost until they are."""
        self._expected[topic] += count

    def send(self, topic: str, message: Message, tag: object, partition: int | None = None) -> None:
        """Hand a message over; without a partition its key decides. Raises Undelivered."""
        try:
            future = self._client.send(
                topic, message.value, message.key, message.headers, partition
            )
        except kafka.errors.KafkaError as exc:
            self._give_up(exc)
        except ValueError as exc:  # the topic was made anew with fewer partitions
            self._give_up(kafka.errors.KafkaError(str(exc)))
        self._under_way.append(_UnderWay(future, topic, tag, time.monotonic()))

    def count_anew(self) -> None:
        """Forget what was counted, once all is settled."""
        for counts in (self.acked, self._expected, self._acknowledged):
            counts.clear()
        self._departures.count_anew()

    def settle(self, leave: int = UNDER_WAY) -> None:
        """Count what was answered; wait until no more than `leave` messages are without an answer.

        Raises Undelivered, everything counted, if a message was lost or Kafka does not answer.
        """
        self._take_answers()
        while self._failure is None and self._under_way:
            oldest = self._under_way[0]
            patience = oldest.sent + OUTWAITED_MS / 1e3 + _GRACE_SECONDS - time.monotonic()
            if len(self._under_way) <= leave and patience > 0:
                break
            self._await(oldest.future, max(0.0, patience))
            self._take_answers()
        if self._failure is not None:
            self._give_up(self._failure)

    def close(self) -> None:
        """End the client within seconds; what is under way is given up."""
        if self._departures.closed:
            return
        self._departures.closed = True
        close_producer(self._client, 0)

    def _give_up(self, failure: kafka.errors.KafkaError) -> None:
        """Let the others be answered that can be, then raise Undelivered with all counts."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._under_way and time.monotonic() < deadline:
            self._await(self._under_way[0].future, max(0.0, deadline - time.monotonic()))
            self._take_answers()
        self.close()
        self._take_answers()
        raise self._lost(failure) from failure

    def _await(self, future: Any, seconds: float) -> None:
        """Return when a message is answered; note it as a failure if that takes too long."""
        try:
            future.get(seconds)
        except kafka.errors.KafkaError as exc:
            self._failure = self._failure or exc

    def _take_answers(self) -> None:
        """Count what is answered, up to the first message that is not."""
        while self._under_way and self._under_way[0].future.is_done:
            message = self._under_way.popleft()
            if message.future.succeeded():
                self.acked[message.tag] += 1
                self._acknowledged[message.topic] += 1
            else:
                self._failure = self._failure or message.future.exception

    def _delivery(self, topic: str) -> Delivery:
        acknowledged = self._acknowledged[topic]
        unknown = self._departures.stored_at_most(topic) - acknowledged
        return Delivery(acknowledged, self._expected[topic] - acknowledged - unknown, unknown)

    def _lost(self, failure: kafka.errors.KafkaError) -> Undelivered:
        deliveries = {topic: self._delivery(topic) for topic in self._expected}
        counts = "; ".join(f"of {topic} {counted}" for topic, counted in deliveries.items())
        meaning = (
            "What is lost never left this machine or was refused; what is unknown left it without "
            "an answer, and Kafka may have it"
        )
        if failure.retriable:
            message = (
                f"Kafka at {self._to} did not take a message for {OUTWAITED_MS // 1000} s: "
                f"{counts}. {meaning}. Bring it back and send what is lost again; `digitstream "
                f"reconcile` counts what it has."
            )
            return Unanswered(message, deliveries)
        message = (
            f"Kafka at {self._to} refused a message ({failure}): {counts}. {meaning}. Mend that on "
            f"the broker, or send what it takes."
        )
        return Refused(message, deliveries)
