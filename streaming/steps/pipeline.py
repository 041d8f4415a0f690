"""The pipeline of steps that Spark runs in a Python worker: Arrow batches in, Arrow batches out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import pyarrow as pa

from contract.wire import reasons
from contract.wire.reasons import BadReading
from streaming.errors import ModelFailed, ModelFailedInWorker
from streaming.spark import workers
from streaming.steps.bisection import Span, bisected
from streaming.steps.columns import NOWHERE
from streaming.steps.frame import Frame, Step
from streaming.steps.metrics import Metrics, rolled_back, timed

# Records that go through the steps together, and their bytes: a step costs as much for a few as for
# hundreds. Spark's batches are smaller, since it limits them by rows alone.
_ROWS, _BYTES = 1024, 1 << 26


class Finish(Protocol):
    """The last step, which turns a frame into records to send."""

    def __call__(self, frame: Frame) -> pa.RecordBatch:
        """The records to send for a frame; adds its own seconds to the metrics."""

    def refuse(self, record: pa.RecordBatch, fault: BadReading) -> pa.RecordBatch | None:
        """The records to send for a record for which a step raised, if any."""


@dataclass(frozen=True)
class Pipeline:
    """What a worker does with the records of a micro-batch; Spark sends it to the workers.

    Each batch of records goes through the steps in order, and then through `finish`. A record for
    which one of them raises is refused, whatever the error; all others get their answers. Raises
    ModelFailed, in a form that reaches the driver, and any error that also occurs for an empty
    record: then no record is to blame. The seconds of each step are added to the metrics under its
    name.
    """

    steps: Mapping[str, Step]
    finish: Finish
    metrics: Metrics

    def run(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The answers to batches of records; a function for `DataFrame.mapInArrow`."""
        workers.hasten()
        try:
            for records in merged(batches):
                yield from self._answer(records)
        except ModelFailed as failure:
            raise ModelFailedInWorker(failure) from failure
        workers.keep_what_is_loaded()

    def _answer(self, records: pa.RecordBatch) -> list[pa.RecordBatch]:
        try:
            return [self._answer_whole(records)]
        except ModelFailed:
            raise
        except Exception as exc:
            return self._answer_in_parts(records, exc)

    def _answer_whole(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """The answers to all records; undoes the metrics if a step raises."""
        with rolled_back(self.metrics):
            frame = Frame.of(records)
            for name, step in self.steps.items():
                with timed(self.metrics, name), _blaming(reasons.UNREADABLE):
                    frame = step(frame)
            with _blaming(reasons.UNANSWERABLE):
                return self.finish(frame)

    def _answer_in_parts(self, records: pa.RecordBatch, exc: Exception) -> list[pa.RecordBatch]:
        """The answers to records for which a step raised, in parts, until single records are to
        blame; raises `exc` if an empty record raises as well.
        """
        with rolled_back(self.metrics, always=True):
            try:
                self._answer_whole(_empty_record(records.schema))
            except Exception:
                raise exc from None

        def answer(span: Span) -> pa.RecordBatch:
            return self._answer_whole(records.slice(span.begin, span.end - span.begin))

        answers, faults = bisected(len(records), answer, fatal=ModelFailed)
        refusals = (
            self.finish.refuse(records.slice(number, 1), _reason(fault))
            for number, fault in faults.items()
        )
        return [*answers, *(refusal for refusal in refusals if refusal is not None)]


def merged(
    batches: Iterable[pa.RecordBatch], rows: int = _ROWS, size: int = _BYTES
) -> Iterator[pa.RecordBatch]:
    """The same records: the first batch, then batches of at most so many rows and bytes, or single
    ones of more.
    """
    batches = iter(batches)
    yield from islice(batches, 1)  # its records are scored while the JVM sends the next
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        together = [*pending, batch]
        if sum(map(len, together)) > rows or sum(part.nbytes for part in together) > size:
            yield from concatenated(pending)
            pending = []
        pending.append(batch)
    yield from concatenated(pending)


def concatenated(batches: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches as one, if there are any."""
    if batches:
        yield pa.concat_batches(batches)


class _StepFailed(Exception):
    """A step raised for some records; `slug` is the reason in their dead letters."""

    def __init__(self, slug: str, cause: BaseException) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.slug = slug


@contextmanager
def _blaming(slug: str) -> Iterator[None]:
    """Raise _StepFailed with this reason for any error of the body but ModelFailed."""
    try:
        yield
    except ModelFailed:
        raise
    except BaseException as exc:  # also for a step that exits, a record is to blame
        raise _StepFailed(slug, exc) from exc


def _reason(exc: Exception) -> BadReading:
    slug = exc.slug if isinstance(exc, _StepFailed) else reasons.UNREADABLE
    return BadReading(slug, str(exc))


def _empty_record(schema: pa.Schema) -> pa.RecordBatch:
    """A batch with a single empty record."""
    row = {name: NOWHERE.get(name) for name in schema.names}
    return pa.RecordBatch.from_pylist([row], schema)
