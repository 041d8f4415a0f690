"""Steps in a row, as Spark runs them in a Python worker: Arrow batches in, Arrow batches out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from contract.wire import reasons
from contract.wire.reasons import BadReading
from streaming.errors import ModelFailed
from streaming.spark import workers
from streaming.steps.bisection import Span, bisected
from streaming.steps.columns import NOWHERE
from streaming.steps.frame import Frame, Step
from streaming.steps.metrics import Tally, taken_back, timed

Mapped = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""What `DataFrame.mapInArrow` takes."""

Last = Callable[[Frame], pa.RecordBatch]
"""Makes of a frame what is to be sent."""

Refuse = Callable[[pa.RecordBatch, BadReading], pa.RecordBatch | None]
"""The answer to a record for which something raised, if it gets one."""


def through(
    steps: Mapping[str, Step], last: Last, figures: Tally, refuse: Refuse | None = None
) -> Mapped:
    """The function that sends each batch of records through the steps, then the last one.

    A record for which one of them raises, whatever that is, gets the answer of `refuse`, or none;
    all others get their own. Only ModelFailed is raised, and what a record raises that holds
    nothing at all: then it is not the records' fault. The seconds of each step are added to
    `figures` under its name; the last one counts its own.
    """

    def whole(records: pa.RecordBatch) -> pa.RecordBatch:
        with taken_back(figures):
            frame = Frame.of(records)
            for title, step in steps.items():
                with timed(figures, title), _at(reasons.UNREADABLE):
                    frame = step(frame)
            with _at(reasons.UNANSWERABLE):
                return last(frame)

    def singly(records: pa.RecordBatch, fault: Exception) -> list[pa.RecordBatch]:
        with taken_back(figures, always=True):
            try:
                whole(_nothing(records.schema))
            except Exception:
                raise fault from None
        batches, faults = bisected(
            len(records), lambda span: whole(_part(records, span)), fatal=ModelFailed
        )
        refused = (
            refuse(records.slice(number, 1), _blamed(exc))
            for number, exc in faults.items()
            if refuse is not None
        )
        return [*batches, *(answer for answer in refused if answer is not None)]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        workers.hasten()
        for records in batches:
            try:
                answers = [whole(records)]
            except ModelFailed:
                raise
            except Exception as exc:
                answers = singly(records, exc)
            yield from answers
        workers.keep_what_is_loaded()

    return run


class _Failed(Exception):
    """A step raised for some records; `slug` is the reason that each of them has to blame."""

    def __init__(self, slug: str, cause: BaseException) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.slug = slug


@contextmanager
def _at(slug: str) -> Iterator[None]:
    """Raise _Failed with this reason for what the body raises, but ModelFailed."""
    try:
        yield
    except ModelFailed:
        raise
    except BaseException as exc:  # a step that exits is a record's fault, too
        raise _Failed(slug, exc) from exc


def _blamed(exc: Exception) -> BadReading:
    return BadReading(exc.slug if isinstance(exc, _Failed) else reasons.UNREADABLE, str(exc))


def _part(records: pa.RecordBatch, span: Span) -> pa.RecordBatch:
    return records.slice(span.begin, span.end - span.begin)


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    """A record that holds nothing."""
    row = {name: NOWHERE.get(name) for name in schema.names}
    return pa.RecordBatch.from_pylist([row], schema)
