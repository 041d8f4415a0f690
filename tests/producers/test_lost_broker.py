"""A broker that goes away: outwaited if it comes back, told with the exact count if not."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from contract.clients import arguments
from contract.errors import BrokerUnavailable
from contract.settings import Producing
from digitstream import broker, jars
from producers import sending
from producers.program import run

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    # kafka-python leaves the sockets of attempts that failed to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Own:
    """A broker of this test's own, to be stopped and started."""

    def __init__(self, home: Path, java: Any) -> None:
        self.home, self.java = home, java
        self.jars = jars.ensure(jars.BROKER, java, jars.cache(os.environ))

    def start(self) -> str:
        return broker.start(self.home, self.java, self.jars).bootstrap_servers

    def stop(self) -> None:
        broker.stop(self.home)


@pytest.fixture
def own(tmp_path: Path, java_17: Any) -> Iterator[Own]:
    made = Own(tmp_path, java_17)
    yield made
    made.stop()
    gc.collect()


SETTINGS = Producing(count=6_000, rate=3_000.0, label_delay=0.0)


def stored(settings: Producing) -> int:
    consumer = KafkaConsumer(**arguments(settings.kafka))
    topic = settings.topics.readings
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    ends = consumer.end_offsets(partitions)
    consumer.close()
    return sum(ends.values())


def test_a_broker_that_comes_back_gets_every_reading_once(own: Own) -> None:
    settings = replace(SETTINGS, bootstrap_servers=own.start())
    away = iter([True])

    def restart(acknowledged: int) -> None:
        if acknowledged >= 1_000 and next(away, False):
            own.stop()
            own.start()

    sent = run(settings, progress=restart)
    assert sent.readings == sent.labels == 6_000
    assert stored(settings) == 6_000


def test_a_broker_that_stays_away_is_told_with_what_it_acknowledged(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "OUTWAITED_MS", 3_000)
    settings = replace(SETTINGS, bootstrap_servers=own.start(), label_delay=60.0)
    away = iter([True])

    def stop(acknowledged: int) -> None:
        if acknowledged >= 1_000 and next(away, False):
            own.stop()

    with pytest.raises(BrokerUnavailable, match="did not answer for 3 s") as told:
        run(settings, progress=stop)
    own.start()
    counted = re.search(r"it acknowledged (\d+) messages", str(told.value))
    assert counted is not None
    assert 1_000 <= int(counted[1]) <= stored(settings) < 6_000
