"""Products of two values: of two matrices for each example."""

from __future__ import annotations

import math

import keras
import numpy as np

from keras2dml.graph import Node, Value
from keras2dml.rules import Refusal, call, lowers, named
from keras2dml.rules.layer_norms import unit
from keras2dml.rules.layouts import in_keras_order, last, of_vectors, permuted, vectors
from keras2dml.rules.masks import without


@lowers(keras.layers.Dot, honours="axes normalize", partly="axes", masks=True)
def dot(layer: keras.layers.Dot, x: Value, y: Value) -> Value:
    """The products of two values summed over an axis of each; the result has the other axes of the
    first, then those of the second. Ignores masks, and returns none.
    """
    x, y = without(x), without(y)
    numbers = (layer.axes, layer.axes) if isinstance(layer.axes, int) else tuple(layer.axes)
    axes = [axis % (len(value.shape) + 1) - 1 for axis, value in zip(numbers, (x, y), strict=True)]
    if min(axes) < 0:
        message = f"{named(layer)} has axes={layer.axes!r}, but 0 is the examples. Give others."
        raise Refusal(message)
    if layer.normalize:
        epsilon = float(keras.config.epsilon())
        x, y = (
            of_vectors(
                layer.name, unit(layer.name, vectors(layer.name, value, axis), epsilon), value, axis
            )
            for value, axis in zip((x, y), axes, strict=True)
        )
    x = permuted(x, last(x, axes[0]))
    y = permuted(y, last(y, axes[1]))
    shape = (*x.shape[:-1], *y.shape[:-1]) or (1,)
    sums = product(layer.name, _matrix(x), _matrix(y))
    return sums.seen_as(shape, shape)


MULTIPLIED: tuple[Node, ...] = (Node("MatMul", ("X", "Y")),)
TURNED: tuple[Node, ...] = (
    Node("Transpose", ("Y",), {"perm": (0, 2, 1)}, (), ("turned",)),
    Node("MatMul", ("X", "turned")),
)
SUMMED: tuple[Node, ...] = (
    Node("Mul", ("X", "Y"), {}, (), ("products",)),
    Node("ReduceSum", ("products",), {"keepdims": 1}, (np.array([-1]),)),
)


def product(name: str, x: Value, y: Value) -> Value:
    """x (A, K) times y (B, K), transposed: (A, B)."""
    (a, k), b = x.shape, y.shape[0]
    function, onnx = "products_transposed", TURNED
    turned = permuted(y, (1, 0))
    if (a, b) == (1, 1):
        function, onnx = "row_products", SUMMED
    elif turned.in_keras_order:  # as it lies, it need not be turned
        function, onnx, y = "products", MULTIPLIED, turned
    x, y = (in_keras_order(name, value) for value in (x, y))
    x, y = (value.seen_as(value.shape, value.shape) for value in (x, y))
    to = Value.of((a, b), rows=x.rows)
    return call(name, function, x, y, to=to, sizes={"A": a, "B": b, "K": k}, onnx=onnx)


def _matrix(x: Value) -> Value:
    """The value with all axes but the last merged into one."""
    shape = (math.prod(x.shape[:-1]), x.shape[-1])
    return x.seen_as(shape, shape)
