"""Who answers which readings of a micro-batch, and whose opinion is asked besides."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.model.scaling import Scaling
from contract.wire.images import Pixels, Shape
from streaming.errors import ModelFailed
from streaming.spark.sink import LARGEST
from streaming.steps.frame import Frame
from streaming.steps.metrics import Tally, timed, until
from streaming.steps.publish import Publishing, published, scores, weight
from streaming.steps.scale import scaled
from streaming.steps.score import Scorer, load, scored, sifted

SCORE, CANARY, SHADOW, GUARD, CANARY_GUARD = "score", "canary", "shadow", "guard", "canary guard"
"""The steps in which a model scores: what the champion answers, and the challenger; what the
challenger thinks of the champion's; what the champion before thinks of the champion's while that is
new, and the champion of the challenger's."""

Rows = Callable[[Frame], NDArray[np.bool_]]
"""Some of a frame's records (N), always the same ones for a reading."""


@dataclass(frozen=True)
class Judge:
    """A model at work on a micro-batch."""

    title: str
    shape: Shape
    scaling: Scaling
    scorer: Scorer
    publishing: Publishing
    golden: Pixels
    """An image (1, H, W, C) of its golden set."""

    def scored(
        self, frame: Frame, step: str, figures: Tally, others: Sequence[Judge] = ()
    ) -> Frame:
        """What the model makes of the good readings; its seconds are the step's.

        Those that it cannot score fail, unless that is its own fault: then ModelFailed is raised,
        as it is where one of the `others` can score one of them. See `score.sifted`.
        """
        with timed(figures, "scale"):
            ready = scaled(frame, self.shape, self.scaling)
        if ready.good.true_count:
            with timed(figures, "load"):
                load(self.title, self.scorer)
        with timed(figures, step):
            try:
                return self._scored(ready)
            except ModelFailed:
                golden, classes = self.scaling.apply(self.golden), len(self.publishing.classes)
                second = [other.scored_whole for other in others]
                return sifted(ready, self.title, self.scorer, golden, classes, second)

    def scored_whole(self, frame: Frame) -> Frame:
        """What the model makes of all good readings; raises ModelFailed."""
        return self._scored(scaled(frame, self.shape, self.scaling))

    def _scored(self, frame: Frame) -> Frame:
        return scored(frame, self.title, self.scorer, len(self.publishing.classes))

    def classes(self, frame: Frame) -> NDArray[np.object_]:
        """The class of each good reading (M), by name."""
        names = np.array(self.publishing.classes, object)
        return np.asarray(names[frame.probabilities.argmax(axis=1)])


@dataclass(frozen=True)
class Opinion:
    """What a second model makes of readings that another one answers.

    How many it was asked for, and how often both had the same class, is counted under its step's
    name. Its scores are published where the judge says, if `told`.
    """

    step: str
    judge: Judge
    rows: Rows
    told: bool


@dataclass(frozen=True)
class Part:
    """The readings that one model answers."""

    step: str
    judge: Judge
    rows: Rows
    opinions: tuple[Opinion, ...] = ()


def answered(frame: Frame, parts: Sequence[Part], figures: Tally) -> pa.RecordBatch:
    """One answer to each reading, by the part that it belongs to, and opinions that are told."""
    figures.add(latest(frame.records))
    batches = []
    for part in parts:
        watching = [opinion.judge for opinion in part.opinions if not opinion.told]
        done = part.judge.scored(some(frame, part.rows), part.step, figures, watching)
        batches += [_given(done, part.judge, opinion, figures) for opinion in part.opinions]
        with timed(figures, "publish"):
            batches.append(published(done, part.judge.publishing))
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _given(frame: Frame, judge: Judge, opinion: Opinion, figures: Tally) -> pa.RecordBatch:
    """An opinion on a frame that a judge has scored, as records to publish; none on readings that
    the other model cannot score.
    """
    asked = frame.where(opinion.rows(frame) & np.asarray(frame.good))
    other = opinion.judge.scored(asked, opinion.step, figures)
    able = np.asarray(other.good)
    asked, other = asked.where(able), other.where(able)
    same = judge.classes(asked) == opinion.judge.classes(other)
    figures.add({asked_of(opinion.step): len(same), agreed_with(opinion.step): int(same.sum())})
    found = scores(other, opinion.judge.publishing)
    return found.filter(pa.array(opinion.told & (weight(found) <= LARGEST)))


def latest(records: pa.RecordBatch) -> dict[str, float]:
    """By partition the time of its last record, as a figure of the tally's."""
    table = pa.Table.from_batches([records.select(["topic", "partition", "timestamp"])])
    groups = table.group_by(["topic", "partition"]).aggregate([("timestamp", "max")])
    # A time that a client set may be one that has no exact float.
    stored = groups["timestamp_max"].cast(pa.int64()).cast(pa.float64(), safe=False)
    times = pc.divide(stored, 1e6)
    columns = (groups["topic"], groups["partition"], times)
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return {until(topic, partition): time for topic, partition, time in rows}


def asked_of(step: str) -> str:
    """The figure that counts an opinion's readings."""
    return f"{step} asked"


def agreed_with(step: str) -> str:
    """The figure that counts how often an opinion was the answer's."""
    return f"{step} agreed"


def some(frame: Frame, rows: Rows) -> Frame:
    """These records of the frame."""
    return frame.where(rows(frame))


def everything(frame: Frame) -> NDArray[np.bool_]:
    """All of the readings."""
    return np.ones(len(frame.records), bool)


def of_devices(share: float) -> Rows:
    """The readings of this share of all devices; of the device, too, that has no name."""

    def rows(frame: Frame) -> NDArray[np.bool_]:
        devices = frame.device.fill_null("").dictionary_encode()
        names = devices.dictionary.to_pylist()
        picked = [zlib.crc32(name.encode()) < share * 2**32 for name in names]
        return np.asarray(np.array(picked, bool)[devices.indices.to_numpy()])

    return rows


def but(rows: Rows) -> Rows:
    """The readings that these are not."""
    return lambda frame: ~rows(frame)


def sampled(share: float) -> Rows:
    """This share of the readings, wherever they come from."""

    def rows(frame: Frame) -> NDArray[np.bool_]:
        partition, offset = (
            np.asarray(frame.records[name]).astype(np.uint64) for name in ("partition", "offset")
        )
        # Fibonacci hashing: its upper bits are spread evenly over whatever offsets there are.
        mixed = (offset + (partition << np.uint64(40))) * np.uint64(0x9E3779B97F4A7C15)
        picked: NDArray[np.bool_] = (mixed >> np.uint64(32)) < np.uint64(round(share * 2**32))
        return picked

    return rows
