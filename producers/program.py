"""The producer: sends a data set's images as simulated devices' readings, and later their
labels.
"""

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
"""Readings that are generated at once, and between two checks of acknowledgements."""

TAGS = ("good", *NAMES)
"""The tags by which the outbox counts readings, by the number of their fault."""


@dataclass(frozen=True)
class SendingReport:
    """What Kafka acknowledged, exactly: readings, the faulty ones among them by kind, and labels.

    `seconds` is from the first reading to the acknowledgement of the last; `stopped` says whether
    the run was stopped early.
    """

    readings: int
    faults: Mapping[str, int]
    labels: int
    seconds: float
    stopped: bool

    @property
    def readings_per_s(self) -> float:
        """Acknowledged readings per second."""
        return self.readings / self.seconds


def run(
    settings: Producing,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda acknowledged: None,
    clock: Clock = time.time_ns,
) -> SendingReport:
    """Send `settings.count` readings and their labels; return when all are acknowledged.

    With the same seed, the same devices send the same images with the same faults; only times and
    ids differ. `stop` ends it early: it then waits for the readings already sent and sends their
    labels at once. `progress` gets the number of acknowledged readings from time to time. Raises
    SettingsError, DataError, TopicMissing, AccessDenied, TlsFailed and BrokerUnavailable; and
    Undelivered, with exact counts, if Kafka does not answer for too long or refuses a message.
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
        # Both topics' metadata is loaded now; later the client would pause the readings for it.
        partitions, _ = (outbox.partitions(topic) for topic in (names.readings, names.labels))
        records = _records(settings, data, faults, partitions, clock)
        start = time.monotonic()
        _send(settings, records, outbox, labels, stop, progress)
        seconds = time.monotonic() - start
        is_stopped = stop.is_set()
        labels.send_rest(stop)
    return SendingReport(
        readings=sum(outbox.acked[tag] for tag in TAGS),
        faults={name: outbox.acked[name] for name in faults.shares},
        labels=outbox.acked[LABEL],
        seconds=seconds,
        stopped=is_stopped,
    )


def _records(
    settings: Producing, data: Dataset, faults: Faults, partitions: int, clock: Clock
) -> Iterator[Record]:
    content_type = CONTENT_TYPES[settings.payload]
    rng = np.random.default_rng(settings.seed)
    factory = Records(
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
        yield from factory.of(block)


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
