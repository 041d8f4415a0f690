"""That Kafka is away is told once, and that it is back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contract.errors import AccessDenied, BrokerUnavailable
from contract.kafka.connection import Kafka
from contract.notices import Notice
from streaming.spark import topic_watch
from streaming.spark.topic_watch import Absence


def test_an_absence_and_its_end_are_each_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(topic_watch.time, "monotonic", lambda: now[0])
    told: list[str] = []
    absence = Absence(Kafka("broker:9092"), told.append)

    def asked_at(seconds: float) -> None:
        now[0] = seconds
        with absence.note():
            raise BrokerUnavailable

    asked_at(0.0)
    absence.end()  # a restart
    asked_at(10.0)
    asked_at(14.0)
    assert told == []
    asked_at(15.0)
    asked_at(60.0)
    absence.end()
    absence.end()
    assert told == [
        "Kafka at broker:9092 does not answer. Nothing is lost: the query continues by itself when "
        "Kafka is back.",
        "Kafka at broker:9092 answers again.",
    ]
    assert all(isinstance(sentence, Notice) for sentence in told)


def test_a_micro_batch_that_waits_for_kafka_is_abandoned_after_some_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(topic_watch.time, "monotonic", lambda: now[0])
    told: list[str] = []
    absence = Absence(Kafka("broker:9092"), told.append)
    assert not absence.ends_waiting()
    now[0] = 60.0
    assert not absence.ends_waiting()  # Kafka is there: it is waited for
    for now[0] in (61.0, 70.0):
        with absence.note():
            raise BrokerUnavailable
    assert absence.ends_waiting() and absence.ends_waiting()
    assert [sentence[:18] for sentence in told] == ["Kafka at broker:90", "Kafka still does n"]


def test_errors_of_access_are_left_to_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, sentences, refusals = threading.Event(), list[str](), list[str]()

    @contextmanager
    def refusing(kafka: Kafka, patience_ms: int) -> Iterator[None]:
        refusals.append("looked")
        if len(refusals) == 2:
            ended.set()
        raise AccessDenied
        yield

    monkeypatch.setattr(topic_watch, "open_log", refusing)
    monkeypatch.setattr(topic_watch, "_LOOK_SECONDS", 0.01)
    kafka = Kafka("127.0.0.1:1")
    topic_watch._watch(kafka, None, None, ended, Absence(kafka, sentences.append))
    assert (len(refusals), sentences) == (2, [])
