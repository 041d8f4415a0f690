"""Scores a DataFrame where its rows are: in Spark's tasks, with the kernels of each executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from keras2dml.rendering.forward import Script
from keras2dml.systemds import variables
from keras2dml.systemds.context import ExecutionFailed, SystemDS, root_cause
from keras2dml.systemds.jvm import answering
from keras2dml.systemds.matrices import Matrix

OUTPUT, _COUNTS = "__OUTPUT", "__COUNTS"


class Refused(NamedTuple):
    """How many numbers are no finite ones, or out of range, and how many rows have not as many
    numbers as the model takes.
    """

    broken: int
    outside: int
    uneven: int


def can_score(systemds: SystemDS, script: Script) -> bool:
    """Whether kernels run all of a script of `keras2dml.scripts.executors` in this session."""
    options, scorer = systemds.options, systemds.classes.frames
    if scorer is None or not (options.uses_kernels and options.is_plain):
        return False
    with systemds.lock:
        return scorer.missing(script.text, options.is_single(script.single)) is None


@answering()
def score(
    systemds: SystemDS,
    script: Script,
    weights: Mapping[str, Matrix],
    frame: DataFrame,
    width: int,
    order: np.ndarray | None,
) -> tuple[DataFrame, Refused]:
    """The rows of a DataFrame, whose last column has `width` numbers of each in this `order`, with
    the model's output as a column OUTPUT of arrays. Spark caches them as long as the DataFrame
    exists.

    Raises ExecutionFailed with the reason why a task failed.
    """
    names, single = " ".join(script.inputs), systemds.options.is_single(script.single)
    places = {} if order is None else {"order": order.reshape(-1, 1).astype(float)}
    with systemds.holding(places) as placed:
        bound = variables.of(systemds.classes, script, weights)
        listed = placed["order"].data if placed else None
        arguments: tuple[Any, ...] = (script.text, names, single, bound, width, listed)
        try:
            jframe = systemds.classes.frames.score(frame._jdf, *arguments, OUTPUT, _COUNTS)
        except Py4JJavaError as error:
            message = f"Spark could not score the DataFrame: {root_cause(error)}"
            raise ExecutionFailed(message) from error
    scored = DataFrame(jframe, frame.sparkSession)
    sums = (F.sum(F.col(_COUNTS)[place]) for place, _ in enumerate(Refused._fields))
    (counts,) = scored.where(F.col(_COUNTS).isNotNull()).agg(*sums).collect()
    return scored.drop(_COUNTS), Refused(*(count or 0 for count in counts))
