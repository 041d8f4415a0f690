"""The figures of a run of the stream, from the topics alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.wire.events import DeadLetter, Label, Score
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import TopicReader
from digitstream.accounts.topics import Mark, Reconciliation

LOG_APPEND_TIME = 1
"""Kafka's code for record times that the broker set on arrival."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The first score of each of N readings, as columns."""

    predicted: NDArray[np.generic]
    """The predicted class (N)."""
    true: NDArray[np.generic]
    """The label of the M readings that have one."""
    labelled: NDArray[np.bool_]
    """Which readings have a label (N)."""
    latency_ms: NDArray[np.float64]
    """Time from the device's clock to the score's time in Kafka, for scores with a device time."""
    arrived_ms: NDArray[np.int64]
    """The score's time in Kafka (N), in milliseconds since 1970."""
    engines: tuple[str, ...]
    """The engines that computed the scores."""
    by_broker: bool
    """Whether the broker set the score's time when it stored it, rather than the sender."""


@dataclass(frozen=True, eq=False)
class Report:
    """The figures of a demo; `training` is the report of `digitstream train --json`."""

    training: Mapping[str, Any]
    scores: Scores
    dead_letters: Counter[str]
    reconciliation: Reconciliation
    warm_up: int
    rate: float

    @property
    def classes(self) -> list[Any]:
        """Every class that was predicted or true."""
        classes: list[Any] = np.unique(
            np.concatenate([self.scores.predicted, self.scores.true])
        ).tolist()
        return classes

    @property
    def confusion(self) -> NDArray[np.int64]:
        """A row for each true class, a column for each predicted one."""
        classes = np.array(self.classes)
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        predicted = self.scores.predicted[self.scores.labelled]
        places = np.searchsorted(classes, self.scores.true), np.searchsorted(classes, predicted)
        np.add.at(matrix, places, 1)
        return matrix

    @property
    def accuracy(self) -> float:
        """The share of labelled, scored readings whose prediction is the label."""
        right = self.scores.predicted[self.scores.labelled] == self.scores.true
        return float(np.mean(right)) if len(right) else 0.0

    @property
    def readings_per_s(self) -> float:
        """Scores per second, from the first score to the last."""
        arrived = self.scores.arrived_ms
        milliseconds = int(np.ptp(arrived)) if len(arrived) else 0
        return 1000 * len(arrived) / milliseconds if milliseconds else 0.0

    def latency(self, percent: float) -> float:
        """This percentile of the latency, in milliseconds."""
        latencies = self.scores.latency_ms
        return float(np.percentile(latencies, percent)) if len(latencies) else 0.0

    @property
    def unanswered(self) -> int:
        """Readings without an answer, though the demo waited for it."""
        return self.reconciliation.total("missing") + self.reconciliation.total("in_flight")

    def to_json(self) -> dict[str, Any]:
        """The report's fields, as in report.json."""
        return {
            "train": {
                name: self.training[name] for name in ("seconds", "images_per_s", "accuracy")
            },
            "engine": ", ".join(self.scores.engines),
            "accuracy": self.accuracy,
            "labelled": int(np.count_nonzero(self.scores.labelled)),
            "readings": self.reconciliation.total("produced"),
            "scored": self.reconciliation.total("scored"),
            "dead_letters": self.reconciliation.total("dead_lettered"),
            "dead_letters_by_reason": dict(self.dead_letters.most_common()),
            "missing": self.unanswered,
            "duplicates": self.reconciliation.total("duplicates"),
            "readings_per_s": self.readings_per_s,
            "offered_per_s": self.rate,
            "latency_ms": {f"p{percent}": self.latency(percent) for percent in (50, 95, 99)},
            "latency_to": "arrival in Kafka" if self.scores.by_broker else "sending to Kafka",
            "warm_up_readings": self.warm_up,
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
        }


def scores(reader: TopicReader, topics: Topics, since: Mark) -> Scores:
    """The scores and labels that came after `since`, joined by the reading's id."""
    labels: dict[str, int | str] = {}
    for records in reader.records(topics.labels, since.labels):
        for record in records:
            label = Label.of(record.key, record.value, record.headers)
            labels[label.id] = label.label
    first: dict[str, tuple[Score, int]] = {}
    kinds = set()
    for records in reader.records(topics.scores, since.scores):
        for record in records:
            score = Score.of(record.key, record.value, record.headers)
            reading = score.replay_of or score.source
            if reading.offset >= since.readings.get(reading.partition, 0):
                first.setdefault(reading.id, (score, record.timestamp))
                kinds.add(record.timestamp_type)
    labelled = [score.id in labels for score, _ in first.values()]
    return Scores(
        predicted=np.array([score.prediction for score, _ in first.values()]),
        true=np.array([labels[score.id] for score, _ in first.values() if score.id in labels]),
        labelled=np.array(labelled, np.bool_),
        latency_ms=np.array(
            [
                arrived - 1000 * score.times.device.timestamp()
                for score, arrived in first.values()
                if isinstance(score.times.device, datetime)
            ],
            np.float64,
        ),
        arrived_ms=np.array([arrived for _, arrived in first.values()], np.int64),
        engines=tuple(sorted({score.model.engine for score, _ in first.values()})),
        by_broker=kinds == {LOG_APPEND_TIME},
    )


def dead_letters(reader: TopicReader, topics: Topics, since: Mark) -> Counter[str]:
    """The dead letters that came after `since`, by reason."""
    counts: Counter[str] = Counter()
    for records in reader.records(topics.dead_letters, since.dead_letters):
        for record in records:
            letter = DeadLetter.of(record.key, record.value, record.headers)
            if letter.first.offset >= since.readings.get(letter.first.partition, 0):
                counts[letter.slug] += 1
    return counts
