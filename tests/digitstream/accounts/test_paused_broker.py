"""A broker that is paused while our readers work: each ends with one sentence."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from contract.errors import BrokerUnavailable
from contract.kafka import subscription
from contract.kafka.offsets import open_log
from contract.kafka.subscription import Subscription
from contract.kafka.topics import ensure
from contract.settings.programs import Settings
from contract.wire.messages import Message
from digitstream.accounts import topic_reader
from digitstream.accounts.topic_reader import open_reader
from digitstream.dead_letters.raw_records import open_sender
from tests.own_broker import OwnBroker

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(900),  # some of them never ended
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HANGS = "accepts connections and does not answer.*restart it"


def test_readers_of_a_paused_broker_end_with_one_sentence(
    own_broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_reader, "PATIENCE_SECONDS", 3)
    monkeypatch.setattr(topic_reader, "POLL_RECORDS", 5)
    monkeypatch.setattr(topic_reader, "FETCH_BYTES", 5_000)
    monkeypatch.setattr(subscription, "_PATIENCE_MS", 2_000)
    settings = Settings(bootstrap_servers=own_broker.start())
    kafka, topic = settings.kafka, settings.topics.scores
    ensure(kafka, settings.topics)
    with open_sender(kafka, topic) as sender:
        for _ in range(5):  # a batch is read as a whole
            assert all(sender.send([Message(b"d", random.randbytes(1000), [])] * 10))
    options = {"from_beginning": True, "recall": 0, "auto_commit": False}
    with open_reader(kafka) as reader:
        followed = Subscription(kafka, topic, "some-group", **options)
        while not (taken := list(followed.records(1.0))):
            pass
        followed.mark_done(taken[-1])
        records = reader.records(topic)
        next(records)
        try:
            with pytest.raises(BrokerUnavailable, match=HANGS), open_log(kafka) as log:
                own_broker.signal(signal.SIGSTOP)
                log.end([topic])
            waits: list[Callable[[], object]] = [
                lambda: list(records),
                lambda: reader.end(topic),
                lambda: reader.first("no.such.topic"),
                lambda: reader.record(topic, 0, 0),
                followed.commit,
            ]
            for wait in waits:
                with pytest.raises(BrokerUnavailable, match=HANGS):
                    wait()
            followed.close()
        finally:
            own_broker.signal(signal.SIGCONT)
