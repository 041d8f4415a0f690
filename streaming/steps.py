"""Steps in a row, as Spark runs them in a Python worker: Arrow batches in, Arrow batches out."""

from __future__ import annotations

import zipimport
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

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
        keep_zip_directories()
        for records in batches:
            frame = Frame.of(records)
            for title, step in steps.items():
                with timed(figures, title):
                    frame = step(frame)
            yield last(frame)

    return run


def keep_zip_directories() -> None:
    """Stop this worker from reading the directories of Spark's archives again for every task.

    Spark's worker drops the import system's caches before each task, and the importers of zip
    files then read their archives again: 40 to 60 ms. Archives do not change while Spark runs.
    """
    importer: Any = zipimport.zipimporter
    importer.invalidate_caches = lambda self: None
