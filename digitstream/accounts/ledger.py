"""Which readings have which answers: pure counting, independent of where answers come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
Spans = Mapping[int, tuple[int, int]]
"""By partition the first offset that counts, and the one after the last."""

Kind = Literal["score", "dead letter"]

_BITS: dict[Kind, int] = {"score": 1, "dead letter": 2}
_SCORED, _DEAD = _BITS["score"], _BITS["dead letter"]
_REPLAYED, _RECOVERED = 4, 8


@dataclass(frozen=True)
class Partition:
    """What became of one partition's records; `gaps` are the missing ones as (first, last).

    A record that was answered more than once counts once, its other answers as `duplicates`. Of a
    partition's readings, `replayed` are those whose replays have answers, and `recovered` the
    dead-lettered ones that have a score by now. `duplicate_ids` counts further scores of a reading
    that answer another record of it: a consumer that drops repeated ids drops them too.
    """

    partition: int
    produced: int
    scored: int
    dead_lettered: int
    in_flight: int
    missing: int
    duplicates: int
    gaps: list[tuple[int, int]]
    replayed: int = 0
    recovered: int = 0
    duplicate_ids: int = 0


class Topic:
    """The records of one topic and their answers, a byte for each record."""

    def __init__(self, spans: Spans) -> None:
        self._begin = {part: begin for part, (begin, _) in spans.items()}
        self._flags = {
            part: np.zeros(max(end - begin, 0), np.uint8) for part, (begin, end) in spans.items()
        }
        self._answers = dict.fromkeys(spans, 0)

    def note_answers(self, kind: Kind, partition: int, offsets: Offsets) -> None:
        """Note answers of a kind to records of a partition; ignores offsets outside its span."""
        self._answers[partition] += len(self._note(_BITS[kind], partition, offsets))

    def note_replay_answers(self, kind: Kind, partition: int, offsets: Offsets) -> None:
        """Note answers of a kind to replays of these readings."""
        self._note(_REPLAYED | (_RECOVERED if kind == "score" else 0), partition, offsets)

    def _note(self, bits: int, partition: int, offsets: Offsets) -> Offsets:
        flags, at = self._flags[partition], offsets - self._begin[partition]
        inside = at[(at >= 0) & (at < len(flags))]
        flags[inside] |= bits
        return inside

    @property
    def partitions(self) -> list[int]:
        """The partitions, ascending."""
        return sorted(self._flags)

    def have_scores(self, partition: int, offsets: Offsets) -> NDArray[np.bool_]:
        """Which of these records have their own score, as a mask; False outside the span."""
        flags, at = self._flags[partition], offsets - self._begin[partition]
        inside = (at >= 0) & (at < len(flags))
        mask = np.zeros(len(offsets), bool)
        mask[inside] = (flags[at[inside]] & _SCORED) > 0
        return mask

    def unanswered(self, partition: int) -> Offsets:
        """The ascending offsets without an answer, whether or not there is a record."""
        bare = (self._flags[partition] & (_SCORED | _DEAD)) == 0
        return self._begin[partition] + np.flatnonzero(bare)

    def account(
        self, partition: int, absent: Offsets, committed: int | None, duplicate_ids: int = 0
    ) -> Partition:
        """The account of a partition. At the offsets `absent` there is no record.

        An unanswered record before `committed` is missing. If that is None, the last answer takes
        its place.
        """
        flags = self._flags[partition]
        bare = self.unanswered(partition)
        answered = len(flags) - len(bare)
        limit = committed
        if limit is None:
            last = np.flatnonzero(flags & (_SCORED | _DEAD))
            limit = self._begin[partition] + (int(last[-1]) + 1 if len(last) else 0)
        open_ = np.setdiff1d(bare, absent, assume_unique=True)
        missing = open_[open_ < limit]
        dead = (flags & (_SCORED | _DEAD)) == _DEAD
        return Partition(
            partition=partition,
            produced=answered + len(open_),
            scored=int(np.count_nonzero(flags & _SCORED)),
            dead_lettered=int(np.count_nonzero(dead)),
            in_flight=len(open_) - len(missing),
            missing=len(missing),
            duplicates=self._answers[partition] - answered,
            gaps=runs(missing),
            replayed=int(np.count_nonzero(flags & _REPLAYED)),
            recovered=int(np.count_nonzero(dead & ((flags & _RECOVERED) > 0))),
            duplicate_ids=duplicate_ids,
        )


class Ledger:
    """The readings and the replays of an installation with their answers.

    Memory: a byte for each reading, 17 bytes for each replay.
    """

    def __init__(self, readings: Spans, replays: Spans) -> None:
        self.readings, self.replays = Topic(readings), Topic(replays)
        # For each replay the partition and offset of its reading, -1 until they are known.
        self._first = {
            part: np.full((max(end - begin, 0), 2), -1, np.int64)
            for part, (begin, end) in replays.items()
        }
        self._begin = {part: begin for part, (begin, _) in replays.items()}

    def note_answers(self, kind: Kind, places: Offsets) -> None:
        """Note answers of a kind to readings, given by partition and offset (N, 2)."""
        for part, rows in _by_partition(places, self.readings.partitions):
            self.readings.note_answers(kind, part, rows[:, 1])

    def note_replay_answers(self, kind: Kind, places: Offsets) -> None:
        """Note answers of a kind to replays, given by partition and offset of the replay, then of
        its reading (N, 4).
        """
        for part, rows in _by_partition(places, self.replays.partitions):
            self.replays.note_answers(kind, part, rows[:, 1])
            at = rows[:, 1] - self._begin[part]
            inside = (at >= 0) & (at < len(self._first[part]))
            self._first[part][at[inside]] = rows[inside, 2:]
        for part, rows in _by_partition(places[:, 2:], self.readings.partitions):
            self.readings.note_replay_answers(kind, part, rows[:, 1])

    def duplicate_ids(self) -> dict[int, int]:
        """By partition of the readings, their further scores that answer another record."""
        answered = [
            self._first[part][
                self.replays.have_scores(part, self._begin[part] + np.arange(len(firsts)))
            ]
            for part, firsts in self._first.items()
        ]
        readings = np.concatenate([*answered, np.empty((0, 2), np.int64)])
        counts = {}
        for part, rows in _by_partition(readings, self.readings.partitions):
            offsets, times = np.unique(rows[:, 1], return_counts=True)
            has_score = self.readings.have_scores(part, offsets)
            counts[part] = int((times - 1 + has_score).sum())
        return counts


def runs(offsets: Offsets) -> list[tuple[int, int]]:
    """Ascending offsets as runs: the first and last offset of each."""
    breaks = np.flatnonzero(np.diff(offsets) > 1)
    first = offsets[np.concatenate([np.zeros(min(len(offsets), 1), np.int64), breaks + 1])]
    last = offsets[np.concatenate([breaks, np.arange(len(offsets))[-1:]])]
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _by_partition(places: Offsets, partitions: Iterable[int]) -> Iterable[tuple[int, Offsets]]:
    """The rows of each of these partitions; the first column is the partition."""
    for part in partitions:
        rows = places[places[:, 0] == part]
        if len(rows):
            yield part, rows
