"""The producer: simulated devices send a data set's images to Kafka, and later their labels."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from contract.data import datasets
from contract.data.datasets import Dataset
from contract.kafka import topics
from contract.settings.programs import Producing
from producers.devices import Device, blocks
from producers.faults import GOOD, NAMES, Faults
from producers.labels import LABEL, Labels
from producers.pacing import paced
from producers.records import CONTENT_TYPES, Clock, Record, Records
from producers.sending import Outbox, open_outbox

BLOCK = 500
"""Readings that are drawn at once, and between two looks at what was acknowledged."""

TAGS = ("good", *NAMES)
"""How the outbox counts readings, by the number of their fault."""


@dataclass(frozen=True)
class SendingReport:
    """What Kafka acknowledged, exactly: readings, the faulty ones of these by kind, and labels.

    `seconds` is from the first reading to the acknowledgement of the last; `stopped` says that the
    run was told to end before it had sent everything.
    """

    readings: int
    faults: Mapping[str, int]
    labels: int
    seconds: float
    stopped: bool

    @property
    def readings_per_s(self) -> float:
        """Acknowledged readings a second."""
        return self.readings / self.seconds


def run(
    settings: Producing,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda acknowledged: None,
    clock: Clock = time.time_ns,
) -> SendingReport:
    """Send `settings.count` readings, then the labels that are left; return when all are answered.

    The same seed sends the same images with the same faults from the same devices; only times and
    ids differ. `stop` ends it early: what was sent is still awaited, its labels are sent at once,
    and all is counted. `progress` is told now and then how many readings are acknowledged. Raises
    SettingsError, DataError, TopicMissing, AccessDenied, TlsFailed and BrokerUnavailable; and
    Undelivered, with exact counts, once Kafka has not taken a message for too long or refused one.
    """
    stop = stop or threading.Event()
    faults = Faults.parse(settings.faults)
    data = datasets.read(settings.data, "test")
    names = settings.topics
    needs = dict.fromkeys((names.readings, names.labels), "WRITE")
    topics.ensure(settings.kafka, names, partitions=settings.partitions, needs=needs)
    with open_outbox(settings.kafka) as outbox:
        outbox.expect(names.readings, settings.count)
        labels = Labels(settings.topics.labels, settings.label_delay, outbox, clock)
        # Of both topics now: later the client would wait for it in the middle of the readings.
        partitions, _ = (outbox.partitions(topic) for topic in (names.readings, names.labels))
        records = _records(settings, data, faults, partitions, clock)
        began = time.monotonic()
        _send(settings, records, outbox, labels, stop, progress)
        seconds = time.monotonic() - began
        stopped = stop.is_set()
        labels.send_rest(stop)
    return SendingReport(
        readings=sum(outbox.acked[tag] for tag in TAGS),
        faults={name: outbox.acked[name] for name in faults.shares},
        labels=outbox.acked[LABEL],
        seconds=seconds,
        stopped=stopped,
    )


def _records(
    settings: Producing, data: Dataset, faults: Faults, partitions: int, clock: Clock
) -> Iterator[Record]:
    content_type = CONTENT_TYPES[settings.payload]
    rng = np.random.default_rng(settings.seed)
    makes = Records(
        run=uuid.uuid4().hex[:12],
        devices=[
            Device.of(i, settings.seed, content_type, settings.clock_skew)
            for i in range(settings.devices)
        ],
        partitions=partitions,
        payload=settings.payload,
        clock=clock,
        rng=rng,
    )
    for block in blocks(data, settings.devices, faults, settings.count, BLOCK, rng):
        yield from makes.of(block)


def _send(
    settings: Producing,
    records: Iterator[Record],
    outbox: Outbox,
    labels: Labels,
    stop: threading.Event,
    progress: Callable[[int], None],
) -> None:
    topic = settings.topics.readings

    def idle(seconds: float) -> None:
        labels.send_due(seconds)
        outbox.settle()

    for number, record in enumerate(paced(records, settings.rate, stop, idle)):
        outbox.send(topic, record.message, TAGS[record.kind], record.partition)
        if record.kind == GOOD:
            labels.add(record.id, record.label)
        if number % BLOCK == 0:
            outbox.settle()
            progress(sum(outbox.acked[tag] for tag in TAGS))
    outbox.settle(0)
    progress(sum(outbox.acked[tag] for tag in TAGS))
