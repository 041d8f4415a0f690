"""A broker that goes away: outwaited if it comes back, told with the exact count if not."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract.settings.programs import Producing
from digitstream.machine import java
from producers import sending
from producers.program import run
from producers.sending import Unanswered, Undelivered
from tests.own_broker import OwnBroker, stored

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    # kafka-python leaves the sockets of attempts that failed to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SETTINGS = Producing(count=4_000, rate=3_000.0, label_delay=0.0)


@pytest.fixture(scope="module")
def broker(java_17: java.Java, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    """A broker that each test leaves running."""
    own = OwnBroker(tmp_path_factory.mktemp("lost"), java_17)
    own.start()
    yield own
    own.stop()
    gc.collect()


def test_a_broker_that_comes_back_gets_every_reading_once(broker: OwnBroker) -> None:
    settings = replace(SETTINGS, bootstrap_servers=broker.start(), prefix="back")
    away = iter([True])

    def restart(acknowledged: int) -> None:
        if acknowledged >= 1_000 and next(away, False):
            broker.stop()
            broker.start()

    sent = run(settings, progress=restart)
    assert sent.readings == sent.labels == 4_000
    assert stored(settings.kafka, settings.topics.readings) == 4_000


def test_a_broker_that_stays_away_is_told_with_exact_counts(
    broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "OUTWAITED_MS", 3_000)
    settings = replace(SETTINGS, bootstrap_servers=broker.start(), prefix="away")
    settings = replace(settings, label_delay=60.0)
    away = iter([True])

    def stop(acknowledged: int) -> None:
        if acknowledged >= 1_000 and next(away, False):
            broker.stop()

    with pytest.raises(Unanswered, match="did not accept a message for 3 s") as error:
        run(settings, progress=stop)
    broker.start()
    adds_up(error.value, settings)


@pytest.mark.long
@pytest.mark.timeout(120)  # it never ended
def test_a_broker_that_is_paused_for_too_long_is_told_with_exact_counts(
    own_broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "OUTWAITED_MS", 3_000)
    settings = replace(SETTINGS, bootstrap_servers=own_broker.start())
    paused = threading.Event()

    def pause(acknowledged: int) -> None:
        if acknowledged >= 1_000 and not paused.is_set():
            paused.set()
            own_broker.signal(signal.SIGSTOP)
            threading.Timer(4.0, own_broker.signal, [signal.SIGCONT]).start()

    with pytest.raises(Unanswered) as error:
        run(settings, progress=pause)
    adds_up(error.value, settings)


def adds_up(error: Undelivered, settings: Producing) -> None:
    """What is acknowledged is stored, what is lost is not, and nothing is counted twice."""
    readings = error.deliveries[settings.topics.readings]
    assert readings.total == settings.count
    assert readings.acknowledged >= 1_000 and readings.lost > 0
    held = stored(settings.kafka, settings.topics.readings)
    assert readings.acknowledged <= held <= readings.acknowledged + readings.unknown
    assert str(readings) in str(error)
