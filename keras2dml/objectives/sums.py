"""A metric: sums over the rows of a batch, and the value that Keras computes from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from keras2dml.graph import Scalar, Value
from keras2dml.objectives.losses import Loss

Measure = float | np.ndarray
"""What Keras reports of a loss or a metric: a number, or an array of one for each class or
threshold.
"""


@dataclass(frozen=True, eq=False)
class Metric:
    """A DML function of predictions, targets and constants, and the metric's value for its sums.

    A function that returns a number for each row has two sums: of these numbers, and of the row
    weights; others return sums. If the metric is a loss, `loss` has its input. Targets `by_number`
    are those of a loss that takes class numbers.
    """

    function: str
    value: Callable[[np.ndarray], Measure]
    constants: Mapping[str, Scalar | tuple[float, ...]] = field(default_factory=dict)
    sums: int = 2
    loss: Loss | None = None
    name: str = ""
    weighted: bool = False
    """Whether rows are weighted: one of Keras' `weighted_metrics`."""
    by_number: bool = False
    masked: bool = False
    """Whether it uses the mask of an output, as Keras' means of functions do."""
    elementwise: bool = False
    """Whether each number of an output counts separately; numbers have no weights."""
    takes: Value | None = None
    """The function's input, if that is neither the output nor the input of a loss."""
    by_batch: bool = False
    """Whether it is a single number for a batch, averaged over batches."""
    literal: bool = False
    """Whether it sees the targets in the shape in which users give them."""


def mean(sums: np.ndarray) -> float:
    """The sum of the values divided by the sum of the weights."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0
