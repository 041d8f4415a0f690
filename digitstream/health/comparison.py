"""Two versions of a model beside each other, on the readings that both have scored."""

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
    """How two versions differ; `matrix` has a row for each class of the first, a column for each of
    the second.
    """

    versions: tuple[str, str]
    classes: tuple[Class, ...]
    matrix: NDArray[np.int64]
    changed: list[tuple[str, Class, Class]]
    """The readings of which they differ: their source, and what each says."""
    labelled: int
    right: tuple[int, int]
    """How many of the labelled readings each has right."""

    @property
    def both(self) -> int:
        """Readings that both scored."""
        return int(self.matrix.sum())

    @property
    def agreement(self) -> float:
        """The share to which they give one class."""
        return float(np.trace(self.matrix) / self.both)


def compare(
    reader: TopicReader, topics: Topics, more: Sequence[str], versions: tuple[str, str]
) -> Comparison:
    """Compare two versions by their scores on the topics of scores and shadow scores, and `more`.

    Of several scores of a reading by one version the first counts. Raises NothingToCompare.
    """
    found: dict[str, dict[str, Score]] = {version: {} for version in versions}
    for topic in dict.fromkeys((topics.scores, topics.shadow_scores, *more)):
        for records in reader.records(topic):
            for record in records:
                score = Score.of(record.key, record.value, record.headers)
                if score.model.version in found:
                    found[score.model.version].setdefault(score.source.id, score)
    one, other = (found[version] for version in versions)
    both = sorted(one.keys() & other.keys())
    if not both:
        message = (
            f"No reading was scored by both versions, {versions[0]} "
            f"({quantity(len(one), 'reading')}) and {versions[1]} ({len(other)}). Let one score "
            f"what the other did with `digitstream score --version {versions[1]} --topic TOPIC`, "
            f"and name that topic with --topic."
        )
        raise NothingToCompare(message)
    said = [(one[source].prediction, other[source].prediction) for source in both]
    classes = tuple(sorted({name for pair in said for name in pair}, key=_order))
    place = {name: number for number, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(matrix, tuple(zip(*((place[a], place[b]) for a, b in said), strict=True)), 1)
    labels = _labels(reader, topics, {one[source].id for source in both})
    known = [
        (labels[one[source].id], pair)
        for source, pair in zip(both, said, strict=True)
        if one[source].id in labels
    ]
    return Comparison(
        versions=versions,
        classes=classes,
        matrix=matrix,
        changed=[(source, a, b) for source, (a, b) in zip(both, said, strict=True) if a != b],
        labelled=len(known),
        right=(
            sum(label == pair[0] for label, pair in known),
            sum(label == pair[1] for label, pair in known),
        ),
    )


def _labels(reader: TopicReader, topics: Topics, wanted: set[str]) -> dict[str, Class]:
    """The last label of each of these readings that has one."""
    found: dict[str, Class] = {}
    for records in reader.records(topics.labels):
        for record in records:
            label = Label.of(record.key, record.value, record.headers)
            if label.id in wanted:
                found[label.id] = label.label
    return found


def _order(name: Class) -> tuple[bool, Class]:
    return isinstance(name, str), name
