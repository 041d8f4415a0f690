"""A broker that is connected and then says nothing."""

from __future__ import annotations

from types import SimpleNamespace

import kafka.errors
import pytest

from contract.errors import BrokerUnavailable
from contract.kafka.connection import Kafka
from producers.departures import Departures
from producers.sending import Outbox


def test_a_broker_that_does_not_tell_its_partitions_is_one_sentence() -> None:
    def partitions_for(topic: str) -> set[int]:
        raise kafka.errors.KafkaTimeoutError

    client = SimpleNamespace(partitions_for=partitions_for)
    outbox = Outbox(client, Departures(), Kafka("127.0.0.1:9"))  # type: ignore[arg-type]
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:9"):
        outbox.partitions("digits.readings")
