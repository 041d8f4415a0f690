"""A reader of topics that lives while brokers come and go."""

from __future__ import annotations

import pytest
from kafka.errors import KafkaConnectionError

from contract.errors import BrokerUnavailable
from contract.kafka.connection import Kafka
from digitstream.accounts import topic_reader
from digitstream.accounts.topic_reader import TopicReader


class RestartedKafka:
    """A connection of which some questions are lost, and the next is answered."""

    def __init__(self, lost: int) -> None:
        self.lost, self.asked = lost, 0

    def topic_ids(self, topics: list[str]) -> dict[str, str]:
        self.asked += 1
        if self.asked <= self.lost:
            raise KafkaConnectionError
        return dict.fromkeys(topics, "an id")


@pytest.fixture(autouse=True)
def nothing_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "_connect", lambda kafka: None)


def test_a_broker_that_was_restarted_is_asked_again() -> None:
    log = RestartedKafka(lost=2)
    assert TopicReader(log, Kafka("127.0.0.1:1")).topic_id("readings") == "an id"
    assert log.asked == 3


def test_a_broker_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_reader, "PATIENCE_MS", 300)
    with pytest.raises(BrokerUnavailable, match="No Kafka broker answers"):
        TopicReader(RestartedKafka(lost=10**9), Kafka("127.0.0.1:1")).topic_id("readings")
