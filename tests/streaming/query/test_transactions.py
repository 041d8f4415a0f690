"""Spark reads what is committed, and nothing that was aborted or is still open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaProducer
from pyspark.sql import SparkSession

from contract.kafka.clients import arguments
from contract.kafka.offsets import open_log
from contract.model.bundle import Bundle
from contract.settings.programs import Archiving, Scoring
from contract.wire.events import Source
from contract.wire.messages import Message
from digitstream.accounts.topic_reader import open_reader
from digitstream.accounts.topics import reconcile
from streaming.query.rescoring import rescore
from tests.streaming.archive.test_archive import delta_jars  # noqa: F401  # a fixture
from tests.streaming.archives import archived, rows
from tests.streaming.models.test_models import answered, running
from tests.streaming.onnx_models import linear, registered_as
from tests.streaming.query.test_rescoring import again, scored_to
from tests.streaming.query.test_triggers import scores, told
from tests.streaming.records import reading
from tests.streaming.wire import answers, topic_id, until

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


class Transactions:
    """Sends readings to one partition in transactions."""

    def __init__(self, topic: str, topic_id: str | None, producer: KafkaProducer) -> None:
        self.topic, self.topic_id, self.producer = topic, topic_id, producer

    def begin(self, numbers: range) -> dict[Source, Message]:
        """Readings in a transaction that stays open; returns where they lie."""
        self.producer.begin_transaction()
        sent = {}
        for number in numbers:
            message = reading(number)
            key, value, headers = message
            sent[self.producer.send(self.topic, value, key, headers, 0)] = message
        self.producer.flush()
        return {
            Source(self.topic, 0, future.get(10).offset, self.topic_id): message
            for future, message in sent.items()
        }

    def commit(self, numbers: range) -> dict[Source, Message]:
        sent = self.begin(numbers)
        self.producer.commit_transaction()
        return sent

    def abort(self, numbers: range) -> None:
        self.begin(numbers)
        self.producer.abort_transaction()


@pytest.fixture
def transactions(scoring: Scoring) -> Iterator[Transactions]:
    topic = scoring.topics.readings
    options = {"transactional_id": topic, "transaction_timeout_ms": 900_000, "acks": "all"}
    with KafkaProducer(**arguments(scoring.kafka), **options) as producer:
        producer.init_transactions()
        yield Transactions(topic, topic_id(scoring, topic), producer)


def test_committed_readings_are_scored_and_aborted_ones_are_not(
    spark: SparkSession, scoring: Scoring, sealed: Bundle, transactions: Transactions
) -> None:
    sent = transactions.commit(range(30))
    transactions.abort(range(30, 60))
    sent |= transactions.commit(range(60, 61))
    transactions.abort(range(61, 62))
    scores(spark, scoring)
    assert sorted(answers(scoring).sources) == sorted(sent)
    assert told(scoring)[-1].lag.readings == 0
    with open_reader(scoring.kafka) as reader, open_log(scoring.kafka) as log:
        found = reconcile(reader, scoring.topics)
        topic = scoring.topics.readings
        until(lambda: log.committed(scoring.group).get(topic) == log.readable([topic])[topic])
    assert (found.total("produced"), found.total("scored"), found.complete) == (31, 31, True)

    version = registered_as(scoring, sealed, linear())
    transactions.begin(range(62, 70))
    settings = again(scoring, version, max_offsets_per_trigger=20)
    rescore(spark, settings, print)
    assert sorted(score.source for score in scored_to(settings)) == sorted(sent)


def test_readings_of_a_transaction_are_scored_when_it_is_committed(
    spark: SparkSession, scoring: Scoring, transactions: Transactions
) -> None:
    before = transactions.commit(range(5))
    with running(spark, replace(scoring, available_now=False)):
        answered(scoring, before)
        held = transactions.begin(range(5, 10))
        with KafkaProducer(**arguments(scoring.kafka)) as producer:
            key, value, headers = reading(10)
            place = producer.send(transactions.topic, value, key, headers, 0).get(10)
        after = {Source(transactions.topic, 0, place.offset, transactions.topic_id): reading(10)}
        other = {Source(transactions.topic, 1, 0, transactions.topic_id): reading(11)}
        with KafkaProducer(**arguments(scoring.kafka)) as producer:
            key, value, headers = reading(11)
            producer.send(transactions.topic, value, key, headers, 1).get(10)
        answered(scoring, before, other)
        transactions.producer.commit_transaction()
        answered(scoring, before, other, held, after)


@pytest.mark.slow
@pytest.mark.long
def test_the_archive_has_only_committed_readings(
    scoring: Scoring,
    transactions: Transactions,
    tmp_path: Path,
    delta_jars: list[Path],  # noqa: F811
) -> None:
    settings = Archiving(
        home=tmp_path,
        bootstrap_servers=scoring.bootstrap_servers,
        master="local[2]",
        prefix=scoring.prefix,
        available_now=True,
    )
    sent = transactions.commit(range(30))
    transactions.abort(range(30, 60))
    transactions.begin(range(60, 70))
    assert archived(settings, delta_jars)["readings"] == 30
    offsets = {row["offset"] for row in rows(settings, "readings")}
    assert offsets == {place.offset for place in sent}
