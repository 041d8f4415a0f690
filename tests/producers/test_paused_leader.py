"""One of three brokers is paused while devices send: nothing hangs, and the counts are right."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from contract.kafka.offsets import open_log
from contract.kafka.topics import ensure
from contract.settings.programs import Producing
from digitstream.drills.ground.cluster import addresses, start_brokers
from producers.program import run
from producers.sending import Delivery, Undelivered
from tests.own_broker import stored

COUNT = 20_000


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_leader_that_is_paused_for_30_seconds_loses_nothing_that_is_not_told(
    tmp_path: Path,
) -> None:
    with start_brokers(tmp_path, 3) as nodes:
        settings = Producing(
            bootstrap_servers=addresses(nodes), count=COUNT, rate=500.0, label_delay=0.0
        )
        topic = settings.topics.readings
        ensure(settings.kafka, settings.topics, partitions=3)
        with open_log(settings.kafka) as log:
            leader = nodes[log.leader(topic, 0) - 1].process
        assert leader is not None
        paused, going_on = threading.Event(), threading.Timer(30.0, leader.resume)

        def pause(acknowledged: int) -> None:
            if acknowledged >= 2_000 and not paused.is_set():
                paused.set()
                leader.suspend()
                going_on.start()

        try:
            sent = run(settings, progress=pause)
            delivery = Delivery(sent.readings, 0, 0)
        except Undelivered as trouble:
            delivery = trouble.deliveries[topic]
        going_on.join()
        assert paused.is_set() and delivery.total == COUNT
        held = stored(settings.kafka, topic)
        assert delivery.acknowledged <= held <= delivery.acknowledged + delivery.unknown
