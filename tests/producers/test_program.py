"""What the producer says it sent is what the broker has, to the last reading."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from contract.errors import BrokerUnavailable, DataError, SettingsError
from contract.kafka.clients import arguments
from contract.settings.programs import Producing
from contract.wire import images
from contract.wire.events import Label, Reading
from contract.wire.reasons import BadReading
from contract.wire.topics import Topics
from producers.faults import NAMES
from producers.program import run

pytestmark = pytest.mark.kafka

SMALL = Producing(count=600, devices=7, label_delay=0.2)


@pytest.fixture
def settings(kafka_broker: Any, topics: Topics) -> Producing:
    prefix = topics.readings.removesuffix(".readings")
    return replace(SMALL, bootstrap_servers=kafka_broker.bootstrap_servers, prefix=prefix)


def stored(settings: Producing, topic: str) -> list[Any]:
    """All records of a topic."""
    consumer = KafkaConsumer(**arguments(settings.kafka))
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    records: list[Any] = []
    while len(records) < sum(ends.values()):
        for batch in consumer.poll(timeout_ms=1000).values():
            records += batch
    consumer.close()
    return records


def slug(record: Any) -> str:
    try:
        reading = Reading.of(record.key, record.value, record.headers)
        images.decode(reading.payload, reading.content_type, (28, 28, 1))
    except BadReading as exc:
        return exc.slug
    return "good"


def test_every_reading_and_label_it_counts_is_in_kafka(settings: Producing) -> None:
    seen: list[int] = []
    sent = run(settings, progress=seen.append)
    readings = stored(settings, settings.topics.readings)
    labels = [
        Label.of(record.key, record.value, record.headers)
        for record in stored(settings, settings.topics.labels)
    ]
    assert (sent.readings, sent.labels, sent.faults, sent.stopped) == (600, 600, {}, False)
    assert len(readings) == 600
    assert {slug(record) for record in readings} == {"good"}
    ids = {Reading.of(record.key, record.value, record.headers).id for record in readings}
    assert len(ids) == 600
    assert sorted(label.id for label in labels) == sorted(ids)
    assert {label.label for label in labels} == set(range(10))
    assert seen == sorted(seen) and seen[-1] == 600
    assert sent.readings_per_s == pytest.approx(600 / sent.seconds)


def test_faults_are_counted_as_they_are_stored(settings: Producing) -> None:
    sent = run(replace(settings, faults="70%"))
    readings = stored(settings, settings.topics.readings)
    assert len(readings) == sent.readings == 600
    assert sent.faults.keys() == set(NAMES) and min(sent.faults.values()) > 30
    slugs = Counter(slug(record) for record in readings)
    for name in ("malformed", "wrong-shape", "empty", "oversized", "not-an-image"):
        assert slugs[name] == sent.faults[name]
    headers = slugs["missing-header"] + slugs["repeated-header"] + slugs["bad-header"]
    assert headers == sent.faults["bad-headers"]
    good = [record for record in readings if slug(record) == "good"]
    ids = {Reading.of(record.key, record.value, record.headers).id for record in good}
    assert len(good) - len(ids) == sent.faults["duplicate"]
    assert sent.labels == len(ids)


def test_a_device_keeps_to_the_partition_where_kafka_puts_its_key(settings: Producing) -> None:
    run(settings)
    readings = stored(settings, settings.topics.readings)
    places = {(record.key, record.partition) for record in readings}
    with KafkaProducer(**arguments(settings.kafka)) as client:
        usual = {
            (key, client.send(settings.topics.progress, key=key).get(10).partition)
            for key, _ in places
        }
    assert places == usual
    assert len(places) == 7


def test_a_label_comes_no_sooner_than_its_delay(settings: Producing) -> None:
    run(replace(settings, rate=2000.0, label_delay=0.5))
    times = {
        reading.id: reading.time
        for record in stored(settings, settings.topics.readings)
        for reading in [Reading.of(record.key, record.value, record.headers)]
    }
    for record in stored(settings, settings.topics.labels):
        label = Label.of(record.key, record.value, record.headers)
        assert (label.time - times[label.id]).total_seconds() >= 0.49


def test_told_to_stop_it_counts_what_it_sent_and_sends_the_labels_of_that(
    settings: Producing,
) -> None:
    stop = threading.Event()
    endless = replace(settings, count=10**9, rate=2000.0, label_delay=60.0)
    sent = run(endless, stop=stop, progress=lambda acked: stop.set() if acked >= 500 else None)
    assert sent.stopped
    assert 500 <= sent.readings == len(stored(settings, settings.topics.readings))
    assert sent.labels == sent.readings == len(stored(settings, settings.topics.labels))


CHILD = """
import json, sys
from contract.settings.programs import Producing
from producers.pacing import stop_on_signals
from producers.program import run
settings = Producing(bootstrap_servers=sys.argv[1], prefix=sys.argv[2], count=10**9, rate=3e3)
with stop_on_signals() as stop:
    sent = run(settings, stop=stop, progress=lambda n: print(n, file=sys.stderr, flush=True))
print(json.dumps([sent.readings, sent.labels, sent.stopped]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_everything_counted(settings: Producing, number: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, settings.bootstrap_servers, settings.prefix],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if int(line) >= 500:
            break
    child.send_signal(number)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    readings, labels, stopped = json.loads(out)
    assert stopped
    assert readings == len(stored(settings, settings.topics.readings))
    assert labels == len(stored(settings, settings.topics.labels)) == readings


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"bootstrap_servers": "127.0.0.1:1"}, BrokerUnavailable),
        ({"bootstrap_servers": None}, BrokerUnavailable),
        ({"data": "nowhere"}, DataError),
        ({"faults": "sometimes"}, SettingsError),
    ],
)
def test_what_cannot_be_begun_is_told_in_one_sentence(
    settings: Producing, changed: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run(replace(settings, **changed))
