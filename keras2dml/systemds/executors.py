"""Scores a DataFrame where its rows are: in Spark's tasks, with the kernels of each executor."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.sql import DataFrame

from keras2dml.rendering.forward import Script
from keras2dml.systemds import variables
from keras2dml.systemds.context import ExecutionFailed, SystemDS, root_cause
from keras2dml.systemds.jvm import answering
from keras2dml.systemds.matrices import Matrix
from keras2dml.systemds.options import ANYWHERE


class Rejected(NamedTuple):
    """Why a DataFrame was not scored: how many numbers are not finite, or out of range, how many
    rows have another number of features, and how many batches an executor could not compute.
    """

    not_finite: int
    out_of_range: int
    of_other_width: int
    not_computed: int


class Batches(NamedTuple):
    """How rows are read: the last column of a DataFrame has `width` numbers of each, `size` rows at
    a time. `order` has the place in it of each of the model's numbers; None if it is the same.
    """

    size: int
    width: int
    order: np.ndarray | None


@answering()
def can_score(systemds: SystemDS, script: Script) -> bool:
    """Whether kernels run all of a script of `keras2dml.scripts.row_batches` in this session, and
    the user has not said where it shall run.
    """
    options, scorer = systemds.options, systemds.classes.frames
    is_free = options.uses_kernels and options.is_plain and options.place == ANYWHERE
    if scorer is None or not is_free:
        return False
    try:
        with systemds.lock:
            single = options.is_single(script.single)
            return bool(scorer.canRun(script.text, single, systemds.threads))
    except Py4JJavaError:  # SystemDS says why, when it compiles the model's own script
        return False


@answering()
def score(
    systemds: SystemDS,
    script: Script,
    weights: Mapping[str, Matrix],
    frame: DataFrame,
    batches: Batches,
    output: str,
) -> DataFrame | Rejected:
    """The rows of a DataFrame with the model's `output`, a column of arrays, in place of the last
    column. Spark caches them as long as the DataFrame exists.

    Raises ExecutionFailed if a task failed.
    """
    places = {}
    if batches.order is not None:
        places["order"] = batches.order.reshape(-1, 1).astype(float)
    single, names = systemds.options.is_single(script.single), " ".join(script.inputs)
    sizes = batches.size, batches.width
    scorer = systemds.classes.frames(script.text, single, names, *sizes)
    bound = variables.of(systemds.classes, script, weights)
    columns = frame.columns[-1], output, unused("COUNTS", frame)
    with systemds.holding(places) as placed, _cancelled(frame.sparkSession.sparkContext):
        order = placed["order"].data if placed else None
        try:
            result = scorer.score(frame._jdf, bound, order, *columns)
        except Py4JJavaError as error:
            message = f"Spark could not score the DataFrame: {root_cause(error)}"
            raise ExecutionFailed(message) from error
    rejected = Rejected(*(result.count(kind) for kind, _ in enumerate(Rejected._fields)))
    return rejected if any(rejected) else DataFrame(result.frame(), frame.sparkSession)


def unused(name: str, frame: DataFrame) -> str:
    """A name like this one that no column has."""
    taken = {column.upper() for column in frame.columns}
    return next(other for n in range(len(taken) + 1) if (other := f"__{name}_{n}") not in taken)


@contextmanager
def _cancelled(context: SparkContext) -> Iterator[None]:
    """Cancel the jobs of the body if it is interrupted."""
    tag = f"keras2dml-{uuid.uuid4()}"
    context.addJobTag(tag)
    try:
        yield
    except BaseException:
        context.cancelJobsWithTag(tag)
        raise
    finally:
        context.removeJobTag(tag)
