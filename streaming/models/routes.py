"""Routes: readings that one model answers, and the models that also score them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.model.scaling import Scaling
from contract.wire.images import Pixels, Shape
from contract.wire.reasons import BadReading
from streaming.errors import ModelFailed
from streaming.models.selections import Selection
from streaming.spark.sink import LARGEST
from streaming.steps.frame import Frame
from streaming.steps.metrics import Agreement, BatchMetrics, timed
from streaming.steps.publish import Publishing, published, refused, scores, weight
from streaming.steps.scale import scaled
from streaming.steps.score import Scorer, load, scored, sifted


@dataclass(frozen=True)
class BatchScorer:
    """A model that scores a micro-batch."""

    title: str
    shape: Shape
    scaling: Scaling
    scorer: Scorer
    publishing: Publishing
    golden: Pixels
    """An image (1, H, W, C) of its golden set."""

    def scored(self, frame: Frame, step: str, others: Sequence[BatchScorer] = ()) -> Frame:
        """Score the good readings; the time is added to `step`.

        Readings that the model cannot score fail. Raises ModelFailed where the model is to blame,
        which includes that one of the `others` can score such a reading. See `score.sifted`.
        """
        metrics = self.publishing.metrics
        with timed(metrics, "scale"):
            ready = scaled(frame, self.shape, self.scaling)
        if ready.good.true_count:
            with timed(metrics, "load"):
                load(self.title, self.scorer)
        with timed(metrics, step):
            try:
                return self._scored(ready)
            except ModelFailed:
                golden, classes = self.scaling.apply(self.golden), len(self.publishing.classes)
                seconds = [other.scored_whole for other in others]
                return sifted(ready, self.title, self.scorer, golden, classes, seconds)

    def scored_whole(self, frame: Frame) -> Frame:
        """Score all good readings together; raises ModelFailed."""
        return self._scored(scaled(frame, self.shape, self.scaling))

    def classes(self, frame: Frame) -> NDArray[np.object_]:
        """The class of each good reading (M), by name."""
        names = np.array(self.publishing.classes, object)
        return np.asarray(names[frame.probabilities.argmax(axis=1)])

    def _scored(self, frame: Frame) -> Frame:
        return scored(frame, self.title, self.scorer, len(self.publishing.classes))


@dataclass(frozen=True)
class SecondScorer:
    """A model that scores readings which another model answers.

    How often both gave the same class is counted under the step's name. Its scores are published to
    its scorer's topics if `is_published`.
    """

    step: str
    scorer: BatchScorer
    selection: Selection
    is_published: bool

    def scores(self, frame: Frame, first: BatchScorer) -> pa.RecordBatch:
        """This model's scores, as records to publish, for a frame that the first model scored; none
        for readings that this model cannot score.
        """
        ours = frame.where(self.selection(frame) & np.asarray(frame.good))
        second = self.scorer.scored(ours, self.step)
        able = np.asarray(second.good)
        ours, second = ours.where(able), second.where(able)
        same = first.classes(ours) == self.scorer.classes(second)
        agreement = Agreement(len(same), int(same.sum()))
        self.scorer.publishing.metrics.add(BatchMetrics(agreements={self.step: agreement}))
        records = scores(second, self.scorer.publishing)
        return records.filter(pa.array(self.is_published & (weight(records) <= LARGEST)))


@dataclass(frozen=True)
class Route:
    """The readings that one model answers, and the models that also score them."""

    step: str
    scorer: BatchScorer
    selection: Selection
    seconds: tuple[SecondScorer, ...] = ()

    def answers(self, frame: Frame) -> list[pa.RecordBatch]:
        """The scores that second models publish, then one answer to each reading of the route."""
        ours = frame.where(self.selection(frame))
        guards = [second.scorer for second in self.seconds if not second.is_published]
        answered = self.scorer.scored(ours, self.step, guards)
        seconds = [second.scores(answered, self.scorer) for second in self.seconds]
        with timed(self.scorer.publishing.metrics, "publish"):
            return [*seconds, published(answered, self.scorer.publishing)]


@dataclass(frozen=True)
class Answer:
    """The last step: each reading of a frame gets the answer of its route."""

    routes: tuple[Route, ...]

    def __call__(self, frame: Frame) -> pa.RecordBatch:
        """One answer to each reading, and the scores that second models publish."""
        self._publishing.metrics.add(BatchMetrics(latest=latest(frame.records)))
        batches = [batch for route in self.routes for batch in route.answers(frame)]
        return batches[0] if len(batches) == 1 else pa.concat_batches(batches)

    def refuse(self, record: pa.RecordBatch, fault: BadReading) -> pa.RecordBatch:
        """The dead letter of a record for which a step raised."""
        return refused(record, fault, self._publishing)

    @property
    def _publishing(self) -> Publishing:
        return self.routes[0].scorer.publishing


def latest(records: pa.RecordBatch) -> dict[tuple[str, int], float]:
    """Partition -> when Kafka stored its last record, in seconds since the epoch."""
    table = pa.Table.from_batches([records.select(["topic", "partition", "timestamp"])])
    groups = table.group_by(["topic", "partition"]).aggregate([("timestamp", "max")])
    # A client may set a time that has no exact float.
    stored = groups["timestamp_max"].cast(pa.int64()).cast(pa.float64(), safe=False)
    times = pc.divide(stored, 1e6)
    columns = (groups["topic"], groups["partition"], times)
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return {(topic, partition): time for topic, partition, time in rows}
