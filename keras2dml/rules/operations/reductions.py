"""Operations that reduce axes to a single number."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras.src.ops import linalg, nn
from keras.src.ops import math as more
from keras.src.ops import numpy as operations

from keras2dml.graph import Node, Shape, Value
from keras2dml.rules import Refusal, call, lowers, named, nodes
from keras2dml.rules.layer_norms import unit
from keras2dml.rules.layouts import axes_of, folded, of_vectors, unfolded, vectors
from keras2dml.rules.merging import pairwise
from keras2dml.rules.operations.arithmetic import bounded
from keras2dml.rules.operations.batches import (
    OF_BATCHES,
    axes_of_whole,
    inner_axes,
    is_whole,
    over_examples,
    spans,
)
from keras2dml.rules.operations.operands import array
from keras2dml.traits import Trait

LAST = {"axes": (-1,), "keepdims": 1}


SOME = nodes("Equal X 0 > none", "Not none > not_zero", "Cast not_zero > some")


def _reduce(operator: str, of: str = "X") -> tuple[Node, ...]:
    return (Node(operator, (of,), LAST),)


def _summed(of: str) -> Node:
    return Node("ReduceSum", (of,), {"keepdims": 1}, (np.array([-1]),))


# Keras' operation: the DML function of rows, and the ONNX operators.
REDUCTIONS: dict[Any, tuple[str, tuple[Node, ...]]] = {
    operations.Sum: ("row_sums", (_summed("X"),)),
    operations.Mean: ("row_means", _reduce("ReduceMean")),
    operations.Max: ("row_maxima", _reduce("ReduceMax")),
    operations.Amax: ("row_maxima", _reduce("ReduceMax")),
    operations.Min: ("row_minima", _reduce("ReduceMin")),
    operations.Amin: ("row_minima", _reduce("ReduceMin")),
    operations.Prod: ("row_product", _reduce("ReduceProd")),
    operations.Var: (
        "row_variances",
        nodes(
            "ReduceMean X > mean", "Sub X mean > off", "Mul off off > square", "ReduceMean square"
        ),
    ),
    more.Logsumexp: ("row_log_sums", _reduce("ReduceLogSumExp")),
}
# Reductions whose results are constant for gradients.
COUNTS: dict[Any, tuple[str, tuple[Node, ...]]] = {
    operations.Any: ("row_any", (*SOME, *_reduce("ReduceMax", "some"))),
    operations.All: ("row_all", (*SOME, *_reduce("ReduceMin", "some"))),
    operations.CountNonzero: ("row_counts", (*SOME, _summed("some"))),
}


def axes(layer: Any, x: Value) -> Shape:
    """The axes of an example along which an operation goes."""
    if is_whole(x):
        return axes_of_whole(x, layer.axis)
    if layer.axis is None:
        message = (
            f"{named(layer)} goes over all axes, including the examples. Give it the axes of an"
            " example."
        )
        raise Refusal(message)
    over = axes_of(layer, x, layer.axis)
    if not over or len({*over}) < len(over):
        message = f"{named(layer)} has axis={layer.axis!r}. Give it axes, each only once."
        raise Refusal(message)
    return over


@lowers(*REDUCTIONS)
def reduced(layer: Any, x: Value) -> Value:
    """The reduction along some axes."""
    function, onnx = REDUCTIONS[type(layer)]
    if type(layer) in OF_BATCHES and spans(x, layer.axis):
        result = _of_batch(layer, x, OF_BATCHES[type(layer)])
    else:
        result = _along(layer, x, function, onnx, keepdims=layer.keepdims)
    if not isinstance(layer, (operations.Max, operations.Min)) or layer.initial is None:
        return result
    bound = "maximum" if isinstance(layer, operations.Max) else "minimum"
    return bounded(layer, bound, result, array(layer, layer.initial))


def _of_batch(layer: Any, x: Value, kind: str) -> Value:
    """The reduction along the axis of examples, and perhaps others."""
    inner = inner_axes(x, layer.axis)
    sizes = tuple(size for axis, size in enumerate(x.shape) if axis not in inner)
    shape = sizes
    if layer.keepdims:
        shape = (1, *(1 if axis in inner else size for axis, size in enumerate(x.shape)))
    if inner and kind in ("sums", "means"):
        reduction = REDUCTIONS[operations.Sum if kind == "sums" else operations.Mean]
        x = _along(layer, x, *reduction, keepdims=False, over=inner)
    elif inner and sizes:
        message = (
            f"{named(layer)} goes over the examples and some of their axes. Only the examples"
            " alone, or all axes, are compiled: reduce one axis after another."
        )
        raise Refusal(message)
    elif inner:
        x = folded(layer.name, x, len(x.shape))
    return over_examples(layer.name, kind, x).seen_as(shape, shape)


@lowers(*COUNTS)
def counted(layer: Any, x: Value) -> Value:
    """Whether any or all elements along some axes are not 0, or how many."""
    function, onnx = COUNTS[type(layer)]
    keepdims = type(layer) is not operations.CountNonzero and layer.keepdims
    return _along(layer, x, function, onnx, keepdims=keepdims, constant=True)


@lowers(operations.Argmax, operations.Argmin)
def place(layer: Any, x: Value) -> Value:
    """The index of the largest or smallest element along an axis; the first of equal ones."""
    largest = isinstance(layer, operations.Argmax)
    operator = "ArgMax" if largest else "ArgMin"
    onnx = (
        Node(operator, ("X",), {"axis": -1, "keepdims": 1}, (), ("place",)),
        *nodes("Cast place"),
    )
    function = "row_places_of_maxima" if largest else "row_places_of_minima"
    return _along(layer, x, function, onnx, keepdims=layer.keepdims, constant=True)


@lowers(operations.Average)
def average(layer: Any, x: Value, weights: Any = None) -> Value:
    """The mean along an axis."""
    if weights is not None:
        message = f"{named(layer)} has weights. Multiply by them, and take the sum."
        raise Refusal(message)
    return _along(layer, x, *REDUCTIONS[operations.Mean], keepdims=False)


@lowers(operations.Std)
def deviation(layer: Any, x: Value) -> Value:
    """The standard deviation."""
    onnx = (
        *REDUCTIONS[operations.Var][1][:-1],
        *nodes("ReduceMean square > variance", "Sqrt variance"),
    )
    return _along(layer, x, "row_deviations", onnx, keepdims=layer.keepdims)


@lowers(operations.Ptp)
def extent(layer: Any, x: Value) -> Value:
    """The difference between the largest and the smallest element."""
    largest, smallest = (
        _along(layer, x, *REDUCTIONS[kind], keepdims=layer.keepdims)
        for kind in (operations.Max, operations.Min)
    )
    return pairwise(layer, largest, smallest, "subtract", "Sub")


@lowers(linalg.Norm)
def norm(layer: Any, x: Value) -> Value:
    """The 2-norm, 1-norm or maximum norm of vectors, or the Frobenius norm of matrices."""
    of_vectors = len(axes(layer, x)) == 1
    if layer.ord in ((None, 2) if of_vectors else (None, "fro")):
        return _along(layer, x, "row_norms", nodes("ReduceL2 X"), keepdims=layer.keepdims)
    if not of_vectors or layer.ord not in (1, math.inf):
        message = (
            f"{named(layer)} has ord={layer.ord!r}. Only 1, 2 and infinity for vectors, and 'fro'"
            " for matrices, are compiled: use one of these."
        )
        raise Refusal(message)
    kind = operations.Sum if layer.ord == 1 else operations.Max
    sizes = call(layer.name, "absolute", x, onnx=nodes("Abs X"), traits=[Trait.KINK_ON_JAX])
    return _along(layer, sizes, *REDUCTIONS[kind], keepdims=layer.keepdims)


@lowers(nn.Normalize)
def normalized(layer: Any, x: Value) -> Value:
    """Normalizes to length 1 along some axes."""
    if layer.order != 2:
        message = f"{named(layer)} has order={layer.order}. Only order=2 is compiled: use that."
        raise Refusal(message)
    epsilon = keras.config.epsilon() if layer.epsilon is None else layer.epsilon
    over = axes(layer, x)
    return of_vectors(
        layer.name, unit(layer.name, vectors(layer.name, x, over), float(epsilon)), x, over
    )


def total(layer: Any, x: Value, over: Shape) -> Value:
    """The sum along axes of an example."""
    return _along(layer, x, *REDUCTIONS[operations.Sum], keepdims=False, over=over)


def _along(
    layer: Any,
    x: Value,
    function: str,
    onnx: tuple[Node, ...],
    *,
    keepdims: bool,
    constant: bool = False,
    over: Shape | None = None,
) -> Value:
    """A function (R, K) -> (R, 1) of each vector along axes, by default those of the operation."""
    over = axes(layer, x) if over is None else over
    rows = vectors(layer.name, x, over)
    to = Value.of((1,), rows=rows.rows)
    results = call(layer.name, function, rows, to=to, onnx=onnx, constant=constant)
    sizes = tuple(size for axis, size in enumerate(x.shape) if axis not in over)
    shape = sizes
    if keepdims:
        shape = tuple(1 if axis in over else size for axis, size in enumerate(x.shape))
    return unfolded(layer.name, results, sizes).seen_as(shape, shape)
