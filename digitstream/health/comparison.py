"""Compares two versions of a model on the readings that both have scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from contract.quantities import quantity
from contract.wire.events import Label, Score
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import TopicReader

Class = int | str


class NothingToCompare(UsageError):
    """No reading was scored by both versions."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """How two versions differ; `matrix` has a row for each class of the first version, and a column
    for each class of the second.
    """

    versions: tuple[str, str]
    classes: tuple[Class, ...]
    matrix: NDArray[np.int64]
    changed: list[tuple[str, Class, Class]]
    """The readings on which they differ: the source, and the class by each version."""
    labelled: int
    right: tuple[int, int]
    """How many of the labelled readings each version has right."""

    @property
    def both(self) -> int:
        """Readings that both scored."""
        return int(self.matrix.sum())

    @property
    def agreement(self) -> float:
        """The share of readings to which both give the same class."""
        return float(np.trace(self.matrix) / self.both)


def compare(
    reader: TopicReader, topics: Topics, more: Sequence[str], versions: tuple[str, str]
) -> Comparison:
    """Compare two versions by their scores on the topics of scores and shadow scores, and `more`.

    If a version scored a reading several times, the first score counts. Raises NothingToCompare.
    """
    scores = _scores(reader, (topics.scores, topics.shadow_scores, *more), versions)
    first, second = (scores[version] for version in versions)
    both = sorted(first.keys() & second.keys())
    if not both:
        message = (
            f"No reading was scored by both versions, {versions[0]} "
            f"({quantity(len(first), 'reading')}) and {versions[1]} ({len(second)}). Score the "
            f"same readings with `digitstream score --version {versions[1]} --topic TOPIC`, and "
            f"name that topic with --topic."
        )
        raise NothingToCompare(message)
    predictions = [(first[source].prediction, second[source].prediction) for source in both]
    classes = tuple(sorted({name for pair in predictions for name in pair}, key=_order))
    place = {name: number for number, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(matrix, tuple(zip(*((place[a], place[b]) for a, b in predictions), strict=True)), 1)
    labels = _labels(reader, topics, {first[source].id for source in both})
    labelled = [
        (labels[first[source].id], pair)
        for source, pair in zip(both, predictions, strict=True)
        if first[source].id in labels
    ]
    return Comparison(
        versions=versions,
        classes=classes,
        matrix=matrix,
        changed=[
            (source, a, b) for source, (a, b) in zip(both, predictions, strict=True) if a != b
        ],
        labelled=len(labelled),
        right=(
            sum(label == pair[0] for label, pair in labelled),
            sum(label == pair[1] for label, pair in labelled),
        ),
    )


def _scores(
    reader: TopicReader, topics: Sequence[str], versions: tuple[str, str]
) -> dict[str, dict[str, Score]]:
    """By version the first score of each reading, by the reading's source."""
    scores: dict[str, dict[str, Score]] = {version: {} for version in versions}
    for topic in dict.fromkeys(topics):
        for records in reader.records(topic):
            for record in records:
                score = Score.of(record.key, record.value, record.headers)
                if score.model.version in scores:
                    scores[score.model.version].setdefault(score.source.id, score)
    return scores


def _labels(reader: TopicReader, topics: Topics, ids: set[str]) -> dict[str, Class]:
    """The last label of each of these readings that has a label."""
    labels: dict[str, Class] = {}
    for records in reader.records(topics.labels):
        for record in records:
            label = Label.of(record.key, record.value, record.headers)
            if label.id in ids:
                labels[label.id] = label.label
    return labels


def _order(name: Class) -> tuple[bool, Class]:
    return isinstance(name, str), name
