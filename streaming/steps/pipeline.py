"""Steps in a row, as Spark runs them in a Python worker: Arrow batches in, Arrow batches out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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


class Finish(Protocol):
    """The last step: what comes of a frame."""

    def __call__(self, frame: Frame) -> pa.RecordBatch:
        """What is to be sent for a frame; counts its own seconds."""

    def refuse(self, record: pa.RecordBatch, fault: BadReading) -> pa.RecordBatch | None:
        """What is to be sent for a record for which a step raised, if anything is."""


@dataclass(frozen=True)
class Pipeline:
    """What a worker does with the records of a micro-batch: a value that Spark sends to it.

    Each batch of records goes through the steps, by their names, and then through the last one. A
    record for which one of them raises, whatever that is, is refused; all others get their own
    answer. Only ModelFailed is raised, in a form that crosses to the driver, and what a record
    raises that holds nothing at all: then it is not the records' fault. The seconds of each step
    are added to the metrics under its name.
    """

    steps: Mapping[str, Step]
    finish: Finish
    metrics: Metrics

    def run(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The answers to batches of records, as `DataFrame.mapInArrow` asks for them."""
        workers.hasten()
        try:
            for records in batches:
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
        """The answers to all records; what one of them raises undoes its metrics."""
        with rolled_back(self.metrics):
            frame = Frame.of(records)
            for name, step in self.steps.items():
                with timed(self.metrics, name), _blaming(reasons.UNREADABLE):
                    frame = step(frame)
            with _blaming(reasons.UNANSWERABLE):
                return self.finish(frame)

    def _answer_in_parts(self, records: pa.RecordBatch, exc: Exception) -> list[pa.RecordBatch]:
        """The answers to records for which a step raised, in parts, until single ones are to
        blame; raises `exc` if a record that holds nothing raises, too.
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


class _StepFailed(Exception):
    """A step raised for some records; `slug` is the reason that each of them has to blame."""

    def __init__(self, slug: str, cause: BaseException) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.slug = slug


@contextmanager
def _blaming(slug: str) -> Iterator[None]:
    """Raise _StepFailed with this reason for what the body raises, but ModelFailed."""
    try:
        yield
    except ModelFailed:
        raise
    except BaseException as exc:  # a step that exits is a record's fault, too
        raise _StepFailed(slug, exc) from exc


def _reason(exc: Exception) -> BadReading:
    slug = exc.slug if isinstance(exc, _StepFailed) else reasons.UNREADABLE
    return BadReading(slug, str(exc))


def _empty_record(schema: pa.Schema) -> pa.RecordBatch:
    """A record that holds nothing."""
    row = {name: NOWHERE.get(name) for name in schema.names}
    return pa.RecordBatch.from_pylist([row], schema)
