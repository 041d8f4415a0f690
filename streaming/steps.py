"""Steps in a row, as Spark runs them in a Python worker: Arrow batches in, Arrow batches out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa

from streaming import workers
from streaming.frame import Frame, Step
from streaming.tally import Tally, timed

Mapped = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""What `DataFrame.mapInArrow` takes."""


def through(
    steps: Mapping[str, Step], last: Callable[[Frame], pa.RecordBatch], figures: Tally
) -> Mapped:
    """The function that sends each batch of records through the steps, then the last one.

    The seconds of each step are added to `figures` under its name; the last one counts its own.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        workers.hasten()
        for records in batches:
            frame = Frame.of(records)
            for title, step in steps.items():
                with timed(figures, title):
                    frame = step(frame)
            yield last(frame)
        workers.keep_what_is_loaded()

    return run
