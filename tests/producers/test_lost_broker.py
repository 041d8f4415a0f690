"""A broker that goes away: outwaited if it comes back, told with the exact count if not."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace

import pytest

from contract.settings.programs import Producing
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

SETTINGS = Producing(count=6_000, rate=3_000.0, label_delay=0.0)


def test_a_broker_that_comes_back_gets_every_reading_once(own_broker: OwnBroker) -> None:
    settings = replace(SETTINGS, bootstrap_servers=own_broker.start())
    away = iter([True])

    def restart(acknowledged: int) -> None:
        if acknowledged >= 1_000 and next(away, False):
            own_broker.stop()
            own_broker.start()

    sent = run(settings, progress=restart)
    assert sent.readings == sent.labels == 6_000
    assert stored(settings.kafka, settings.topics.readings) == 6_000


def test_a_broker_that_stays_away_is_told_with_exact_counts(
    own_broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "OUTWAITED_MS", 3_000)
    settings = replace(SETTINGS, bootstrap_servers=own_broker.start(), label_delay=60.0)
    away = iter([True])

    def stop(acknowledged: int) -> None:
        if acknowledged >= 1_000 and next(away, False):
            own_broker.stop()

    with pytest.raises(Unanswered, match="did not accept a message for 3 s") as error:
        run(settings, progress=stop)
    own_broker.start()
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
