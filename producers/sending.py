"""Messages to Kafka, stored once each, and counted when the broker says that it has them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import kafka.errors
from kafka import KafkaProducer

from contract.clients import PATIENCE_MS, arguments, reaching
from contract.connection import Kafka
from contract.errors import BrokerUnavailable, DigitstreamError
from contract.messages import Message

UNDER_WAY = 20_000
"""Messages without an answer at most; kafka-python itself takes whatever fits into memory."""

OUTWAITED_MS = 30_000
"""How long a lost broker may be away before the messages that wait for it are given up."""


class Refused(DigitstreamError):
    """Kafka answers, but does not take a message."""


@contextmanager
def connected(to: Kafka) -> Iterator[KafkaProducer]:
    """A producer that writes each message once, in batches of a few milliseconds.

    Raises BrokerUnavailable if nobody answers.
    """
    with reaching(to):
        client = KafkaProducer(
            **arguments(to),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            batch_size=1 << 18,
            request_timeout_ms=OUTWAITED_MS // 3,
            delivery_timeout_ms=OUTWAITED_MS,
            max_block_ms=PATIENCE_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
    try:
        yield client
    finally:
        with suppress(kafka.errors.KafkaTimeoutError):
            client.close(timeout=1)


class Outbox:
    """Sends, and keeps count: `acked` says of each tag how many messages the broker has.

    After `settle(0)` that is exact: each message is acknowledged, or lost and reported.
    """

    def __init__(self, client: KafkaProducer, to: Kafka) -> None:
        self.acked: Counter[str] = Counter()
        self._client = client
        self._to = to
        self._under_way: deque[tuple[Any, str]] = deque()
        self._failure: kafka.errors.KafkaError | None = None

    def send(self, topic: str, message: Message, tag: str, partition: int | None = None) -> None:
        """Hand a message over; without a partition its key decides."""
        try:
            future = self._client.send(
                topic, message.value, message.key, message.headers, partition
            )
        except kafka.errors.KafkaError as exc:
            self._failure = exc
            self.settle(0)
        self._under_way.append((future, tag))

    def settle(self, leave: int = UNDER_WAY) -> None:
        """Count what was answered; wait until no more than `leave` messages are without an answer.

        Raises BrokerUnavailable or Refused, everything counted, if a message was lost.
        """
        if leave == 0:
            self._client.flush()
        under_way = self._under_way
        while under_way and (under_way[0][0].is_done or len(under_way) > leave):
            future, tag = under_way.popleft()
            try:
                future.get()
                self.acked[tag] += 1
            except kafka.errors.KafkaError as exc:
                self._failure = self._failure or exc
        if self._failure is not None:
            if under_way:
                self.settle(0)
            raise self._lost(self._failure) from self._failure

    def _lost(self, failure: kafka.errors.KafkaError) -> DigitstreamError:
        acked = f"it acknowledged {self.acked.total()} messages, and the rest is lost"
        if failure.retriable:
            return BrokerUnavailable(
                f"Kafka at {self._to} did not answer for {OUTWAITED_MS // 1000} s: "
                f"{acked}. Messages count only once they are acknowledged. Bring it back and send "
                f"the rest again."
            )
        return Refused(
            f"Kafka at {self._to} refused a message ({failure}): {acked}. Mend that "
            f"on the broker, or send what it takes."
        )
