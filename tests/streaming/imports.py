"""What a Spark worker looks at on behalf of a test."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa


def modules(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The modules that this worker has loaded, whatever comes."""
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"module": list(sys.modules)})
